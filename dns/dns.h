/* SPDX-License-Identifier: ISC */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/address.h"
#include "base/error.h"
#include "base/prefixes.h"
#include "dns/key.h"

/*
 * An authoritative DNS server over UDP and TCP that knows names and bytes, and nothing of guests.
 * A name that belongs to a service is asked of the daemon through one callback, which answers at
 * once or says "later". All functions are for the loop thread.
 */
struct dns_server;

/* A query that waits for its answer, by value. One that is gone (its TCP connection closed, the
 * server stopped) is recognised by its generation: answering it does nothing. */
struct dns_query_id {
	uint32_t slot, generation;
};

enum dns_reply {
	DNS_REPLY_ADDRESS, /* the records of the asked type */
	DNS_REPLY_SERVFAIL,
	DNS_REPLY_REFUSED,
	DNS_REPLY_TRUNCATED, /* no record and TC, so that the client asks again over TCP */
	DNS_REPLY_LATER,     /* only from the callback: dns_answer will follow */
};

/* RFC 8914 section 4. */
enum dns_ede_code {
	DNS_EDE_OTHER = 0,
	DNS_EDE_NOT_READY = 14,
	DNS_EDE_PROHIBITED = 18,
	DNS_EDE_NOT_AUTHORITATIVE = 20,
	DNS_EDE_NOT_SUPPORTED = 21,
	DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
	DNS_EDE_NETWORK_ERROR = 23,
};

/* RFC 8914. Sent only to a client that spoke EDNS. */
struct dns_ede {
	uint16_t code;  /* enum dns_ede_code, or any other */
	char text[128]; /* "" for none */
	bool present;
};

struct dns_ask {
	uint32_t service; /* the number given to dns_put_service */
	uint16_t
		qtype; /* 1 A or 28 AAAA, whichever the service has; 65 HTTPS, where it or its zone's file
			 * has that for its name; other types are not asked */
	bool tcp;
	bool verified; /* the client is where it says: it came over TCP, or has a good cookie */
	uint64_t received_at; /* CLOCK_MONOTONIC ns */
	const struct sockaddr *source;
	const uint8_t *question; /* the name that was asked for, for dns_question_text; or NULL */
	/* May be set to a number of dns_put_instance: its addresses are the answer, at once or LATER. */
	uint32_t *answer_as;
	struct dns_query_id id; /* for LATER; of no query where no more may wait: then LATER is
				 * answered SERVFAIL and that is all */
};

/* Runs on the loop thread, for each query of a service's name and a type of dns_ask.qtype. Must not
 * call back into the server but for dns_query_waiting. *ede is empty; fill it to explain. */
typedef enum dns_reply (*dns_ask_fn)(void *ctx, const struct dns_ask *ask, struct dns_ede *ede);

/* The name that was asked for: in lower case, escaped as in zone files, without the final dot. It is
 * one of the service's, or leads to it as an alias. */
#define DNS_QUESTION_TEXT 1020
const char *dns_question_text(const uint8_t *question, char text[DNS_QUESTION_TEXT]);

/* DNS cookies (RFC 7873) over UDP. */
enum dns_cookie_mode {
	DNS_COOKIES_ON,       /* whoever has one is known; others are served, too */
	DNS_COOKIES_REQUIRED, /* BADCOOKIE for a false one, TC for a client without */
	DNS_COOKIES_OFF,      /* not spoken */
};
#define DNS_COOKIE_SECRET_SIZE 16

/* All count up. An answer is one of: answered (with records), nodata, nxdomain, refused, servfail,
 * malformed, unsupported (opcode, EDNS version, cookie, signature); of a held query, once it is
 * answered. */
struct dns_counters {
	uint64_t udp_queries, tcp_queries, malformed, answered, refused, nxdomain, nodata, servfail,
		unsupported;
	uint64_t truncated;        /* answers with TC; only here where that is all they say */
	uint64_t slipped, limited; /* by the rate limit: cut down to TC, dropped */
	uint64_t prohibited;       /* refused for where the client is */
	/* Queries passed on; questions without an answer; answers that were none to ours; our own
	 * queries that came back. */
	uint64_t forwarded, forward_failed, forward_forged, forward_loops;
	uint64_t cookies_good, cookies_bad; /* of clients that sent a server's cookie */
	uint64_t held;                      /* put off */
	uint64_t dropped;         /* queries that got no answer, answers that could not be sent */
	uint64_t tcp_connections; /* served */
	uint64_t tcp_refused;     /* closed at once: too many, of one network or in all */
};

struct dns_config {
	const struct sockaddr_storage *listen; /* each is bound for UDP and TCP */
	size_t listen_count;
	unsigned max_waiting; /* queries held at once; more get SERVFAIL. 0: 4096 */
	unsigned max_tcp;     /* connections at once. 0: 256 */
	/* Of these, how many one network (/24, /56) may have; 0: all. */
	unsigned max_waiting_source, max_tcp_source;
	uint64_t tcp_idle; /* ns; 0: 10 s */
	enum dns_cookie_mode cookies;
	/* Answers of one kind that go to one network over UDP a second (0: no limit); of what is
	 * beyond, every nth that is cut down to TC instead of dropped (0: none). */
	unsigned rate_limit, rate_slip;
	/* Resolvers (at most 8, as address and port) that queries for names in no zone of ours are
	 * passed on to, for the clients of dns_rules that want recursion. 0: all are
	 * REFUSED. */
	const struct sockaddr_storage *upstreams;
	size_t upstream_count;
	unsigned max_forwarded;   /* questions under way at once; 0: 512 */
	uint64_t forward_timeout; /* ns of one of three tries; 0: 800 ms */
	bool forward_plainly;     /* names go as they came, without mixing their letters' case */
	/* What the server says of itself to who asks, up to 255 letters; NULL or "": nothing. */
	const char *identity; /* NSID (RFC 5001); id.server and hostname.bind in class CH */
	const char *version;  /* version.server and version.bind in class CH */
};

/* Binds and listens; `ask` may be called from the next loop turn. A port 0 is chosen by the kernel;
 * see dns_server_port. Errors name the address. */
int dns_server_create(uv_loop_t *loop, const struct dns_config *config, dns_ask_fn ask, void *ctx,
	struct dns_server **out, struct error *err);
/* Port of the nth `listen` address. */
uint16_t dns_server_port(const struct dns_server *server, size_t index);
/* Closes all. Queries that wait over UDP may still be answered in this loop turn; then all are
 * forgotten, memory is released and `closed` (may be NULL) called, in a later one. */
void dns_server_destroy(struct dns_server *server, void (*closed)(void *ctx), void *ctx);

struct dns_name_server {
	const char *name; /* a single label is within the zone; one with a dot is absolute, and
			   * its final dot optional */
	struct ip_address address; /* glue, where the name is within the zone; may be "none" */
	struct ip_address address6;
};

struct dns_zone_config {
	const char *origin;  /* "example.test" */
	const char *primary; /* SOA MNAME; NULL: the first name server */
	const char *mailbox; /* SOA RNAME as a name or as user@host; NULL: hostmaster.<origin> */
	const struct dns_name_server *servers; /* at least one, or in the file */
	size_t server_count;
	uint32_t ttl;          /* of NS, SOA and glue, and of the file before $TTL; seconds */
	uint32_t negative_ttl; /* SOA minimum, seconds (RFC 2308) */
	uint32_t serial;       /* of the SOA, where it is not in the file; 0: 1. Kept at a change of
				* zones that changes no record of this one. */
	const char *file;      /* more records, as text (RFC 1035 section 5); NULL: none. A SOA, or
				* NS of the zone's own, that stand there are not given here, too. */
	struct dns_key *const *keys; /* it is signed with; one of them is active. Kept as long as
				      * they are needed. */
	size_t key_count;            /* at most 4; 0: it is not signed */
	const char *const *transfer; /* names of the TSIG keys whose holders may have all static
				      * records, where dns_rules let them ask for the zone's
				      * names; a signed zone is given to nobody */
	size_t transfer_count;
	const struct sockaddr_storage *notify; /* who is told of a new serial (RFC 1996) */
	size_t notify_count;
};

/* A secret that is shared with a secondary (RFC 8945, HMAC-SHA256). */
#define DNS_TSIG_SECRET_MAX 64
struct dns_tsig_key {
	const char *name;
	uint8_t secret[DNS_TSIG_SECRET_MAX];
	size_t secret_size; /* at least 16 */
};
/* Reads a secret in base64. -EINVAL. */
int dns_tsig_secret_parse(const char *text, struct dns_tsig_key *out, struct error *err);

/* Reads and compiles zones, from any thread: files are read, which may take a while. -EINVAL, or
 * the errno of reading a file; the message names zone, file and line. */
struct dns_zones;
int dns_zones_create(const struct dns_zone_config *zones, size_t count, struct dns_zones **out,
	struct error *err);
void dns_zones_destroy(struct dns_zones *zones);

/* A zone whose names are not everybody's; those of zones beneath that are not here neither. */
struct dns_zone_access {
	const char *origin;
	const struct prefixes *clients; /* not copied */
};

/* What an operator may say anew at any time. All zero: nothing. */
struct dns_rules {
	const struct dns_zone_access *access;
	size_t access_count;
	const struct dns_tsig_key *tsig_keys;
	size_t tsig_key_count;
	/* The secrets that cookies are made with, so that several servers may share them: the first
	 * makes them, one more is taken, too. 0: made up, and rolled every day. */
	const uint8_t (*cookie_secrets)[DNS_COOKIE_SECRET_SIZE];
	unsigned cookie_secret_count;
	const struct prefixes *unlimited; /* networks without rate limit; NULL: none. Not copied */
	const struct prefixes *forward_clients; /* whose queries are forwarded; as above */
};

/* Takes the place of all zones (start, reload; NULL: they stay) and rules, at once, and `zones` in any
 * case. What is not copied is used until the next call. Services stay, those outside every zone
 * included: they are REFUSED until a zone covers them. On error nothing has changed: -EEXIST where the
 * zones have other records at a service's name, -EINVAL for a bad name or key, -EAGAIN without
 * randomness, -ENOMEM. */
int dns_use_rules(struct dns_server *server, struct dns_zones *zones, const struct dns_rules *rules,
	struct error *err);

/* Zones alone, read and taken. */
int dns_set_zones(struct dns_server *server, const struct dns_zone_config *zones, size_t count,
	struct error *err);

struct dns_zone_info {
	char origin[254];
	uint32_t serial;
	size_t records;              /* static ones */
	struct dns_key *const *keys; /* the active one first; valid until the zones change */
	size_t key_count;
};
/* The nth zone that is served; false beyond the last. */
bool dns_zone_info(const struct dns_server *server, size_t index, struct dns_zone_info *out);
bool dns_in_zone(const struct dns_server *server, const char *name);
/* Whether the zones leave the name to a service. -EEXIST, with what they have there. */
int dns_check_service_name(const struct dns_server *server, const char *name, struct error *err);

/* Adds a service's name or replaces it; compiles its answers: all addresses of a family are one set,
 * of which each in turn is said first. Those that are "none" are passed over; no two are the same, and
 * at most ADDRESSES_OF_FAMILY are of a family. `service` is any number of the caller's, not 0. -EINVAL
 * for a bad name (the message says why) or too many addresses, -EEXIST where the name belongs to
 * another service, or to a name server with an address of its own. */
int dns_put_service(struct dns_server *server, uint32_t service, const char *name,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err);
/* All other names of a service: each has its addresses and is asked about as the service, while PTR
 * records say the name of dns_put_service, which keeps these. Takes the place of those it had; on
 * error nothing has changed: -ENOENT where there is no such service, the others as above. */
int dns_set_service_names(struct dns_server *server, uint32_t service, const char *const *names,
	size_t count, struct error *err);
/* The HTTPS record (RFC 9460) of a service's names, for the names themselves: its parameters as in zone
 * files, "alpn=h2,h3", or DNS_HTTPS_NONE. Who asks for it is asked about; the addresses come with it. A
 * record of that type in the zone's file goes before. It goes with the next dns_put_service. -ENOENT
 * where there is no such service, -EINVAL as of dns_check_https, -ENOMEM. */
#define DNS_HTTPS_NONE "none"
int dns_set_service_https(struct dns_server *server, uint32_t service, const char *parameters,
	uint32_t ttl, struct error *err);
/* -EINVAL says what is wrong with parameters. */
int dns_check_https(const char *parameters, struct error *err);
/* Adds or replaces a further machine of a service, with addresses of its own. No name leads to it;
 * dns_ask.answer_as does. PTR records of its addresses say the service's name. -ENOENT where there is
 * no such service, the others as above. */
int dns_put_instance(struct dns_server *server, uint32_t instance, uint32_t service,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err);
/* Of either kind. */
void dns_remove_service(struct dns_server *server, uint32_t service);

/* Checks a host name and writes its canonical text: lower case, no final dot, at most 253 letters.
 * The rule for labels is letters, digits, hyphen and underscore. */
int dns_name_canonical(const char *text, char out[254], struct error *err);

/* Answers a query that was put off; never LATER. Nothing happens where the query is gone. The
 * answer is on its way to the kernel when this returns. */
void dns_answer(struct dns_server *server, struct dns_query_id id, enum dns_reply reply,
	const struct dns_ede *ede);
bool dns_query_waiting(const struct dns_server *server, struct dns_query_id id);

const struct dns_counters *dns_server_counters(const struct dns_server *server);

#endif
