/* SPDX-License-Identifier: ISC */
#ifndef DB_STATEMENTS_H
#define DB_STATEMENTS_H

/* Every statement that is run more than once in the life of a store. */
enum statement {
	META_PUT,
	META_GET,

	SERVICE_INSERT,
	SERVICE_UPDATE,
	SERVICE_DELETE,
	SERVICE_PIN,
	SERVICE_EACH,

	NAME_OWNER,
	NAME_CLEAR,
	NAME_PUT,

	ADDRESS_RENAME,
	ADDRESS_RELEASE,
	ADDRESS_FIND,
	ADDRESS_PUT,
	ADDRESS_EACH,

	POLICY_INSERT,
	POLICY_DELETE,
	POLICY_FIND,
	POLICY_USER,
	POLICY_EACH,
	OPTION_CLEAR,
	OPTION_INSERT,

	COUNTER_RAISE,
	COUNTER_GET,
	SUMMON_INSERT,
	STAGE_INSERT,
	TRANSITION_INSERT,
	INSTANCE_START,
	INSTANCE_END,

	SUMMON_BOUND,
	SUMMON_TRIM,
	STAGE_TRIM,
	TRANSITION_BOUND,
	TRANSITION_TRIM,
	INSTANCE_BOUND,
	INSTANCE_TRIM,

	SUMMON_EACH,
	SUMMON_EACH_OF,
	SUMMON_FIND,
	STAGE_EACH,
	TRANSITION_EACH,
	TRANSITION_EACH_OF,

	STATEMENT_COUNT,
};

struct statement_text {
	const char *what;  /* "cannot <what>", for errors */
	const char *table; /* whose rows it reads, for errors */
	const char *sql;
};
extern const struct statement_text statement_texts[STATEMENT_COUNT];

#endif
