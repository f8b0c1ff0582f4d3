/* What a PUT left in the bucket.
 *
 * The server has checked the body by the hash that is signed, but what it then stored may still be something else: its
 * memory, its disk, a gateway in front of it. Its answer has an ETag, which is the MD5 of what it stored where it is
 * one. Another MD5 than ours is one of two things, and what the bucket holds tells which: it is read back.
 *
 *     our bytes         the ETag is no MD5: learned (etags.h), the PUT was good
 *     other bytes       the object is damaged: the PUT is repeated by the door, and fails if that does not help
 *     cannot be read    not known: the same
 *
 * So nothing here depends on the server being known to give MD5s, and an upload is never refused for an odd ETag. */
#include "s3_internal.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include "cache/base/log.h"

struct look {
	struct sink sink;
	EVP_MD_CTX *md;
};

static int look_begin(struct sink *sink, const struct object *object)
{
	const struct look *look = (const struct look *)sink;

	(void)object;
	return EVP_DigestInit_ex(look->md, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

static int look_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	const struct look *look = (const struct look *)sink;

	(void)offset;
	return EVP_DigestUpdate(look->md, bytes, length) == 1 ? 0 : -ENOMEM;
}

/* The SHA-256 of the object as it is in the bucket. */
static int read_back(struct s3 *s, const char *key, const char *etag, unsigned char sha256[32])
{
	struct look look = {{look_begin, look_take}, EVP_MD_CTX_new()};
	const struct get_request request = {.key = key, .etag = etag, .sink = &look.sink};
	int r = look.md ? s3_get(s, &request) : -ENOMEM;

	if (r == 0 && EVP_DigestFinal_ex(look.md, sha256, NULL) != 1)
		r = -ENOMEM;
	EVP_MD_CTX_free(look.md);
	return r;
}

int s3_stored_check(struct s3_request *q, const struct s3_sent *sent, const struct object *made)
{
	struct sum said;
	unsigned char sha256[32];
	char ours[SUM_TEXT];

	s3_read_sum(q->s, &q->x, false, &said);
	if (sent->md5.kind != SUM_MD5 || said.kind != SUM_MD5)
		return 0;
	if (sum_same(&said, &sent->md5)) {
		etags_fit(&q->s->etags);
		return 0;
	}
	int r = read_back(q->s, sent->key, made->etag, sha256);
	if (r == -ECANCELED)
		return r;
	if (r == 0 && memcmp(sha256, sent->sha256, sizeof(sha256)) == 0) {
		etags_refuted(&q->s->etags, sent->key);
		return 0;
	}
	sum_text(&sent->md5, ours);
	log_error("bucket: an object is not in the bucket as it was sent, it is sent again key=%s md5=%s etag=%s%s%s",
		  sent->key, ours, made->etag, r ? " it could not be read back: " : "", r ? bucket_why() : "");
	return fault_set(-EPROTO, true, "the object %s is damaged in the bucket: its ETag says %s, the MD5 of what "
			 "was sent is %s", sent->key, made->etag, ours);
}
