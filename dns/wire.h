/* SPDX-License-Identifier: ISC */
#ifndef DNS_WIRE_H
#define DNS_WIRE_H

#include <stdint.h>

/* Numbers of the wire format: RFC 1035, 3596 (AAAA), 6891 (OPT, BADVERS), 8945 (TSIG), 8914 (EDE),
 * 5001 (NSID), 7873 (COOKIE), 7828 (keepalive). */
#define DNS_HEADER_SIZE 12
#define DNS_CLASS_IN    1
#define DNS_CLASS_CH    3

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_HINFO = 13,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_SIG = 24,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_NAPTR = 35,
	DNS_TYPE_DNAME = 39,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_DS = 43,
	DNS_TYPE_RRSIG = 46,
	DNS_TYPE_NSEC = 47,
	DNS_TYPE_DNSKEY = 48,
	DNS_TYPE_NSEC3 = 50,
	DNS_TYPE_NSEC3PARAM = 51,
	DNS_TYPE_CDS = 59,
	DNS_TYPE_CDNSKEY = 60,
	DNS_TYPE_SVCB = 64,
	DNS_TYPE_HTTPS = 65,
	DNS_TYPE_NXNAME = 128,
	DNS_TYPE_TKEY = 249,
	DNS_TYPE_TSIG = 250,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_MAILB = 253,
	DNS_TYPE_MAILA = 254,
	DNS_TYPE_ANY = 255,
};

enum dns_rcode {
	DNS_RCODE_NOERROR = 0,
	DNS_RCODE_FORMERR = 1,
	DNS_RCODE_SERVFAIL = 2,
	DNS_RCODE_NXDOMAIN = 3,
	DNS_RCODE_NOTIMP = 4,
	DNS_RCODE_REFUSED = 5,
	DNS_RCODE_NOTAUTH = 9,
	DNS_RCODE_BADVERS = 16, /* of this and the next the upper eight bits travel in OPT */
	DNS_RCODE_BADCOOKIE = 23,
};

/* First flag byte: QR, four bits of opcode, AA, TC, RD. */
#define DNS_FLAG_QR     0x80
#define DNS_OPCODE_MASK 0x78
#define DNS_FLAG_AA     0x04
#define DNS_FLAG_TC     0x02
#define DNS_FLAG_RD     0x01
/* Second flag byte: RA, Z, AD, CD, four bits of RCODE. */
#define DNS_FLAG_AD     0x20
#define DNS_FLAG_CD     0x10
#define DNS_RCODE_MASK  0x0f

/* OPT without options: root owner, type, payload size, extended RCODE, version, flags, length. */
#define DNS_OPT_SIZE    11
#define DNS_OPT_FLAG_DO 0x8000
#define DNS_OPT_FLAG_CO 0x4000 /* RFC 9824 section 4 */

#define DNS_OPTION_NSID      3
#define DNS_OPTION_COOKIE    10
#define DNS_OPTION_KEEPALIVE 11
#define DNS_OPTION_EDE       15

#define DNS_POINTER 0xc000 /* compression pointer, RFC 1035 section 4.1.4 */

static inline uint16_t wire_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t wire_get32(const uint8_t *at)
{
	return (uint32_t)wire_get16(at) << 16 | wire_get16(at + 2);
}

static inline void wire_put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void wire_put32(uint8_t *at, uint32_t value)
{
	wire_put16(at, (uint16_t)(value >> 16));
	wire_put16(at + 2, (uint16_t)value);
}

#endif
