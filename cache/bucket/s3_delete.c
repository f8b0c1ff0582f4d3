/* Deletes, in batches where the server and the keys allow it.
 *
 * DeleteObjects names keys in XML, which cannot express control characters or bytes that are not
 * UTF-8: such keys, and a key that is alone, are deleted one by one. Content-MD5 is sent
 * where MD5 is available, since half of the servers refuse the body without it; in FIPS mode the SHA-256, which AWS takes too.
 * Where DeleteObjects is not known (501, 405), or refused in FIPS mode, one by one is remembered as the way.
 *
 * In quiet mode the answer holds only what failed. An <Error> whose key is none of ours means that
 * keys were not understood as they were meant, and no result can be trusted. */
#include "s3_internal.h"
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

struct batch {
	const struct s3 *s;
	const char *const *keys;
	size_t count;
	int *results;
	bool stranger; /* an error for a key that was not asked about */
};

/* Bytes of the UTF-8 character at p that XML 1.0 allows, or 0. */
static size_t xml_character(const unsigned char *p)
{
	unsigned code;
	size_t n;

	if (p[0] < 0x80)
		return p[0] >= 0x20 || p[0] == '\t' || p[0] == '\n' || p[0] == '\r';
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	code = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	if ((code >= 0xd800 && code <= 0xdfff) || code == 0xfffe || code == 0xffff)
		return 0;
	return n;
}

static bool fits_xml(const char *key)
{
	for (const unsigned char *p = (const unsigned char *)key; *p;) {
		size_t n = xml_character(p);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

static void append_escaped(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&':
			buf_text(out, "&amp;");
			break;
		case '<':
			buf_text(out, "&lt;");
			break;
		case '>':
			buf_text(out, "&gt;");
			break;
		case '\t':
		case '\n':
		case '\r':
			buf_printf(out, "&#%d;", *p);
			break;
		default:
			buf_append(out, p, 1);
		}
	}
}

static int delete_one(struct s3 *s, const char *key)
{
	struct s3_request q;
	int r;

	s3_request_init(&q, s, "DELETE", key);
	r = s3_request_run(&q);
	if (r == 0)
		r = s3_fault_of_empty(&q);
	if (r == -ENOENT) {
		fault_clear();
		r = 0;
	}
	s3_request_destroy(&q);
	return r;
}

/* -- DeleteObjects -- */

static const char *without_prefix(const struct s3 *s, const char *key)
{
	size_t n = strlen(s->place.prefix);

	return strncmp(key, s->place.prefix, n) == 0 ? key + n : NULL;
}

static void on_failed(void *arg, const char *key, const char *code, const char *message)
{
	struct batch *b = arg;
	const char *own = without_prefix(b->s, key);
	int error = s3_fault_code(code);

	(void)message;
	for (size_t i = 0; own && i < b->count; i++) {
		if (strcmp(b->keys[i], own) != 0)
			continue;
		b->results[i] = error == -ENOENT ? 0 : error ? error : -EHOSTDOWN;
		return;
	}
	b->stranger = true;
}

enum { BASE64_BYTES = 48 };

static int delete_body(const struct batch *b, struct buf *out, bool has_md5, char sum[BASE64_BYTES])
{
	unsigned char hash[32];
	unsigned length;

	buf_text(out,
		 "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < b->count; i++) {
		if (!fits_xml(b->keys[i]))
			continue;
		buf_text(out, "<Object><Key>");
		append_escaped(out, b->s->place.prefix);
		append_escaped(out, b->keys[i]);
		buf_text(out, "</Key></Object>");
	}
	buf_text(out, "</Delete>");
	if (out->failed || EVP_Digest(out->data, out->length, hash, &length, has_md5 ? EVP_md5() : EVP_sha256(), NULL) != 1)
		return fault_set(-ENOMEM, false, "no memory for a list of keys");
	EVP_EncodeBlock((unsigned char *)sum, hash, (int)length);
	return 0;
}

static int delete_batch(struct s3 *s, struct batch *b)
{
	AUTO_BUF struct buf body = BUF_EMPTY;
	struct s3_request q;
	char sum[BASE64_BYTES];
	bool has_md5 = sum_has_md5();
	int r = delete_body(b, &body, has_md5, sum);

	if (r)
		return r;
	s3_request_init(&q, s, "POST", NULL);
	s3_request_query(&q, "delete", "");
	s3_request_header(&q, "content-type", "application/xml");
	s3_request_header(&q, has_md5 ? "content-md5" : "x-amz-checksum-sha256", sum);
	r = s3_request_body(&q, body.data, body.length);
	if (r == 0)
		r = s3_request_run(&q);
	if (r == 0) {
		r = s3_xml_delete(buf_string(&q.x.body_out), q.x.body_out.length, on_failed, b);
		if (r)
			r = s3_fault_broken(&q, "the result of the deletes cannot be understood");
		else if (b->stranger)
			r = s3_fault_broken(&q, "it names a key that was not to be deleted");
	}
	s3_request_destroy(&q);
	return r;
}

/* What concerns one key is its result; what concerns the request ends all of it. */
static int delete_each(struct s3 *s, const struct batch *b, bool all)
{
	for (size_t i = 0; i < b->count; i++) {
		if (!all && fits_xml(b->keys[i]))
			continue;
		int r = delete_one(s, b->keys[i]);
		if (r && r != -EINVAL)
			return r;
		b->results[i] = r;
	}
	return 0;
}

static bool is_unknown_request(int r)
{
	int status = fault_of_thread()->http_status;

	return r == -EINVAL && (status == 501 || status == 405 || (status == 400 && !sum_has_md5()));
}

int s3_remove(void *self, const char *const *keys, size_t count, int *results)
{
	struct s3 *s = self;
	struct batch b = {.s = s, .keys = keys, .count = count, .results = results};
	enum s3_answer known;
	size_t fitting = 0;
	int r;

	assert(count <= REMOVE_MAX);
	for (size_t i = 0; i < count; i++) {
		results[i] = 0;
		fitting += fits_xml(keys[i]);
	}
	lock_take(&s->lock);
	known = s->locked.deletes_batches;
	lock_drop(&s->lock);
	if (count <= 1 || fitting == 0 || known == S3_NO)
		return delete_each(s, &b, true);
	r = delete_batch(s, &b);
	if (is_unknown_request(r)) {
		lock_take(&s->lock);
		s->locked.deletes_batches = S3_NO;
		lock_drop(&s->lock);
		return delete_each(s, &b, true);
	}
	return r ? r : delete_each(s, &b, false);
}
