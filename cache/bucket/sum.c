/* Sums. MD5 is no proof against somebody who wants to deceive, but the bucket's owner could do that anyway; it finds
 * what went wrong on the way, in memory and on disks. OpenSSL refuses it in FIPS mode. */
#include "sum.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/hex.h"

enum { STEP = 256 << 10, MD5_BYTES = 16, SHA256_BYTES = 32, SHA256_BASE64 = 44 };

static size_t length_of(enum sum_kind kind)
{
	return kind == SUM_MD5 ? MD5_BYTES : kind == SUM_SHA256 ? SHA256_BYTES : 0;
}

void sum_of_etag(struct sum *out, const char *etag)
{
	memset(out, 0, sizeof(*out));
	if (hex_decode(out->bytes, etag, MD5_BYTES) == 0)
		out->kind = SUM_MD5;
	else
		memset(out, 0, sizeof(*out));
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
	hex_encode(out, sum->bytes, length_of(sum->kind));
}

/* -- making one -- */

static int add_file(EVP_MD_CTX *md, int fd, uint64_t size, const atomic_bool *stop)
{
	AUTO_FREE char *bytes = malloc(STEP);
	uint64_t at = 0;

	if (!bytes)
		return -ENOMEM;
	while (at < size) {
		size_t want = size - at < STEP ? (size_t)(size - at) : STEP;
		ssize_t got = pread(fd, bytes, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		if (EVP_DigestUpdate(md, bytes, (size_t)got) != 1)
			return -EIO;
		at += (uint64_t)got;
		if (stop && atomic_load(stop))
			return -ECANCELED;
	}
	return 0;
}

int sum_file(int fd, uint64_t size, enum sum_kind kind, const atomic_bool *stop, struct sum *out)
{
	EVP_MD *type = EVP_MD_fetch(NULL, kind == SUM_MD5 ? "MD5" : "SHA256", NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (!md)
		r = -ENOMEM;
	else if (!type || EVP_DigestInit_ex(md, type, NULL) != 1)
		r = -ENOTSUP;
	if (r == 0)
		r = add_file(md, fd, size, stop);
	if (r == 0 && EVP_DigestFinal_ex(md, out->bytes, NULL) != 1)
		r = -EIO;
	if (r == 0)
		out->kind = kind;
	EVP_MD_CTX_free(md);
	EVP_MD_free(type);
	return r;
}

bool sum_has_md5(void)
{
	struct sum nothing, known;

	sum_of_etag(&known, "d41d8cd98f00b204e9800998ecf8427e");
	return sum_file(-1, 0, SUM_MD5, NULL, &nothing) == 0 && sum_same(&nothing, &known);
}
