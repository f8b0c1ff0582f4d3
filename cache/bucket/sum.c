/* Sums. MD5 is no proof against somebody who wants to deceive, but the bucket's owner could do that anyway; it finds
 * what went wrong on the way, in memory and on disks. OpenSSL refuses it in FIPS mode. */
#include "sum.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/hex.h"

enum { STEP = 256 << 10, MD5_BYTES = 16, SHA256_BYTES = 32, SHA256_BASE64 = 44, PARTS_MAX = 10000 };

static size_t length_of(enum sum_kind kind)
{
	return kind == SUM_MD5 || kind == SUM_MD5_PARTS ? MD5_BYTES : kind == SUM_SHA256 ? SHA256_BYTES : 0;
}

void sum_of_etag(struct sum *out, const char *etag)
{
	memset(out, 0, sizeof(*out));
	if (hex_decode(out->bytes, etag, MD5_BYTES) == 0)
		out->kind = SUM_MD5;
	else
		memset(out, 0, sizeof(*out));
}

void sum_of_parts_etag(struct sum *out, const char *etag)
{
	char md5[2 * MD5_BYTES + 1];
	const char *dash = strchr(etag, '-');
	unsigned parts = 0;

	memset(out, 0, sizeof(*out));
	if (!dash || dash - etag != 2 * MD5_BYTES || dash[1] < '1' || dash[1] > '9')
		return;
	for (const char *p = dash + 1; *p; p++) {
		if (*p < '0' || *p > '9' || (parts = parts * 10 + (unsigned)(*p - '0')) > PARTS_MAX)
			return;
	}
	memcpy(md5, etag, sizeof(md5) - 1);
	md5[sizeof(md5) - 1] = '\0';
	sum_of_etag(out, md5);
	if (out->kind == SUM_NONE)
		return;
	out->kind = SUM_MD5_PARTS;
	out->parts = parts;
}

bool sum_set_part_bytes(struct sum *sum, uint64_t size, uint64_t part_bytes)
{
	if (sum->kind != SUM_MD5_PARTS || !part_bytes || !size || (size - 1) / part_bytes + 1 != sum->parts)
		return false;
	sum->part_bytes = part_bytes;
	return true;
}

void sum_of_sha256(struct sum *out, const char *base64)
{
	unsigned char bytes[SHA256_BASE64 / 4 * 3];

	memset(out, 0, sizeof(*out));
	if (strlen(base64) != SHA256_BASE64 || base64[SHA256_BASE64 - 1] != '=' ||
	    EVP_DecodeBlock(bytes, (const unsigned char *)base64, SHA256_BASE64) != (int)sizeof(bytes))
		return;
	memcpy(out->bytes, bytes, SHA256_BYTES);
	out->kind = SUM_SHA256;
}

bool sum_same(const struct sum *a, const struct sum *b)
{
	return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void sum_text(const struct sum *sum, char out[SUM_TEXT])
{
	size_t length = length_of(sum->kind);

	hex_encode(out, sum->bytes, length);
	if (sum->kind == SUM_MD5_PARTS)
		snprintf(out + 2 * length, SUM_TEXT - 2 * length, "-%u", sum->parts);
}

/* -- making one -- */

static int add_file(EVP_MD_CTX *md, int fd, uint64_t start, uint64_t end, const atomic_bool *stop)
{
	AUTO_FREE char *bytes = malloc(STEP);

	if (!bytes)
		return -ENOMEM;
	while (start < end) {
		size_t want = end - start < STEP ? (size_t)(end - start) : STEP;
		ssize_t got = pread(fd, bytes, want, (off_t)start);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		if (EVP_DigestUpdate(md, bytes, (size_t)got) != 1)
			return -EIO;
		start += (uint64_t)got;
		if (stop && atomic_load(stop))
			return -ECANCELED;
	}
	return 0;
}

/* What is summed up: a file from start to end, or some bytes. */
struct summand {
	int fd;
	uint64_t start, end;
	const atomic_bool *stop;
	const unsigned char *bytes; /* then end of them, and no file */
};

static int digest(const struct summand *of, enum sum_kind kind, unsigned char out[SUM_BYTES_MAX])
{
	EVP_MD *type = EVP_MD_fetch(NULL, kind == SUM_MD5 ? "MD5" : "SHA256", NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r = 0;

	if (!md)
		r = -ENOMEM;
	else if (!type || EVP_DigestInit_ex(md, type, NULL) != 1)
		r = -ENOTSUP;
	if (r == 0 && !of->bytes)
		r = add_file(md, of->fd, of->start, of->end, of->stop);
	else if (r == 0 && EVP_DigestUpdate(md, of->bytes, (size_t)of->end) != 1)
		r = -EIO;
	if (r == 0 && EVP_DigestFinal_ex(md, out, NULL) != 1)
		r = -EIO;
	EVP_MD_CTX_free(md);
	EVP_MD_free(type);
	return r;
}

int sum_file(int fd, uint64_t size, enum sum_kind kind, const atomic_bool *stop, struct sum *out)
{
	const struct summand whole = {.fd = fd, .end = size, .stop = stop};

	memset(out, 0, sizeof(*out));
	if (kind != SUM_MD5 && kind != SUM_SHA256)
		return -ENOTSUP;
	int r = digest(&whole, kind, out->bytes);
	if (r == 0)
		out->kind = kind;
	return r;
}

static int sum_parts(int fd, uint64_t size, const struct sum *said, const atomic_bool *stop, struct sum *out)
{
	AUTO_FREE unsigned char *md5s = calloc(said->parts + 1, MD5_BYTES); /* room for the last one's SUM_BYTES_MAX */
	struct summand part = {.fd = fd, .stop = stop};
	int r = md5s ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < said->parts; i++) {
		part.start = i * said->part_bytes;
		part.end = i + 1 < said->parts ? part.start + said->part_bytes : size;
		r = digest(&part, SUM_MD5, md5s + (size_t)i * MD5_BYTES);
	}
	const struct summand all = {.bytes = md5s, .end = (uint64_t)said->parts * MD5_BYTES};
	if (r == 0)
		r = digest(&all, SUM_MD5, out->bytes);
	if (r == 0) {
		out->kind = SUM_MD5_PARTS;
		out->parts = said->parts;
		out->part_bytes = said->part_bytes;
	}
	return r;
}

int sum_file_as(int fd, uint64_t size, const struct sum *said, const atomic_bool *stop, struct sum *out)
{
	if (said->kind != SUM_MD5_PARTS)
		return sum_file(fd, size, said->kind, stop, out);
	memset(out, 0, sizeof(*out));
	return said->part_bytes ? sum_parts(fd, size, said, stop, out) : -ENOTSUP;
}

bool sum_has_md5(void)
{
	struct sum nothing, known;

	sum_of_etag(&known, "d41d8cd98f00b204e9800998ecf8427e");
	return sum_file(-1, 0, SUM_MD5, NULL, &nothing) == 0 && sum_same(&nothing, &known);
}
