/* Signature version 4.
 *
 *     canonical request = method \n path \n sorted query \n name:value\n … \n names \n payload hash
 *     scope             = day/region/service/aws4_request
 *     string to sign    = AWS4-HMAC-SHA256 \n time \n scope \n hex(sha256(canonical request))
 *     key               = hmac(hmac(hmac(hmac("AWS4" secret, day), region), service), "aws4_request")
 *     signature         = hex(hmac(key, string to sign))
 *
 * The path is taken as it is on the wire: S3, unlike other services, neither encodes it twice nor
 * removes dot segments. Query pairs are ordered by name, then by value: comparing the whole
 * "name=value" would put "a-b=" before "a=". The access key goes into the credential unescaped,
 * also with a colon in it (Swift's test:tester). Headers of one name are joined with commas in the
 * order given. */
#include "sigv4.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/hex.h"

enum { HASH_BYTES = 32, QUERY_PAIRS_MAX = 64 };

struct span {
	const char *text;
	size_t length;
};

struct pair {
	struct span name, value;
};

static int sha256(const void *bytes, size_t length, unsigned char out[HASH_BYTES])
{
	return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

static int hmac(const void *key, size_t key_length, const char *text, unsigned char out[HASH_BYTES])
{
	return HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text),
		    out, NULL)
		   ? 0
		   : -ENOMEM;
}

static int span_compare(const struct span *a, const struct span *b)
{
	size_t n = a->length < b->length ? a->length : b->length;
	int c = n ? memcmp(a->text, b->text, n) : 0;

	if (c)
		return c;
	return a->length < b->length ? -1 : a->length > b->length;
}

static int pair_compare(const void *va, const void *vb)
{
	const struct pair *a = va, *b = vb;
	int c = span_compare(&a->name, &b->name);

	return c ? c : span_compare(&a->value, &b->value);
}

static int append_query(struct buf *out, const char *query)
{
	struct pair pairs[QUERY_PAIRS_MAX];
	size_t count = 0;

	for (const char *p = query; *p;) {
		size_t length = strcspn(p, "&"), name = strcspn(p, "=&");

		if (length > 0) {
			struct pair *pair = &pairs[count++];

			pair->name = (struct span){p, name};
			pair->value = (struct span){p + name, 0};
			if (name < length)
				pair->value = (struct span){p + name + 1, length - name - 1};
			if (count == QUERY_PAIRS_MAX)
				return -EINVAL;
		}
		p += length + (p[length] == '&');
	}
	if (count)
		qsort(pairs, count, sizeof(pairs[0]), pair_compare);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_text(out, "&");
		buf_append(out, pairs[i].name.text, pairs[i].name.length);
		buf_text(out, "=");
		buf_append(out, pairs[i].value.text, pairs[i].value.length);
	}
	buf_text(out, "\n");
	return 0;
}

/* Without blanks at both ends, runs of blanks as one. A control character would end the header
 * early. */
static int append_value(struct buf *out, const char *value)
{
	const char *p = value + strspn(value, " \t");

	while (*p) {
		size_t word = strcspn(p, " \t"), gap = strspn(p + word, " \t");

		for (size_t i = 0; i < word; i++)
			if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
				return -EINVAL;
		buf_append(out, p, word);
		p += word + gap;
		if (gap && *p)
			buf_text(out, " ");
	}
	return 0;
}

static bool is_name(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') ||
		      *name == '-' || *name == '_' || *name == '.'))
			return false;
	return true;
}

/* Insertion: few, mostly sorted already, and the order of equal names has to stay. */
static void sort_headers(struct sigv4_header *headers, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct sigv4_header h = headers[i];
		size_t j = i;

		for (; j > 0 && strcmp(headers[j - 1].name, h.name) > 0; j--)
			headers[j] = headers[j - 1];
		headers[j] = h;
	}
}

/* The names go to names as well, separated by semicolons. */
static int append_headers(struct buf *out, struct buf *names, const struct sigv4_request *request)
{
	const struct sigv4_header *h = request->headers;

	for (size_t i = 0; i < request->headers_count; i++) {
		bool again = i > 0 && strcmp(h[i - 1].name, h[i].name) == 0;

		if (!is_name(h[i].name))
			return -EINVAL;
		if (!again) {
			buf_printf(out, "%s%s:", i ? "\n" : "", h[i].name);
			buf_printf(names, "%s%s", i ? ";" : "", h[i].name);
		} else {
			buf_text(out, ",");
		}
		if (append_value(out, h[i].value))
			return -EINVAL;
	}
	buf_text(out, "\n\n");
	return 0;
}

/* The hash of the canonical request, in hex. */
static int canonical_hash(const struct sigv4_request *request, struct buf *names,
			  char out[2 * HASH_BYTES + 1])
{
	AUTO_BUF struct buf canonical = BUF_EMPTY;
	unsigned char hash[HASH_BYTES];
	int r;

	buf_printf(&canonical, "%s\n%s\n", request->method, request->path);
	r = append_query(&canonical, request->query);
	if (r)
		return r;
	sort_headers(request->headers, request->headers_count);
	r = append_headers(&canonical, names, request);
	if (r)
		return r;
	buf_printf(&canonical, "%s\n%s", buf_string(names), request->payload_sha256);
	if (canonical.failed || names->failed)
		return -ENOMEM;
	r = sha256(canonical.data, canonical.length, hash);
	if (r == 0)
		hex_encode(out, hash, sizeof(hash));
	return r;
}

static int derive(const char *secret, const char *day, const struct sigv4_request *request,
		  unsigned char key[HASH_BYTES])
{
	char first[sizeof(((struct credentials *)0)->secret) + 4];
	int n = snprintf(first, sizeof(first), "AWS4%s", secret), r;

	r = hmac(first, (size_t)n, day, key);
	if (r == 0)
		r = hmac(key, HASH_BYTES, request->region, key);
	if (r == 0)
		r = hmac(key, HASH_BYTES, request->service, key);
	if (r == 0)
		r = hmac(key, HASH_BYTES, "aws4_request", key);
	explicit_bzero(first, sizeof(first));
	return r;
}

/* The key of this day, from the cache or derived and kept there. */
static int day_key(const struct sigv4_request *request, const struct credentials *credentials,
		   const char *day, struct sigv4_cache *cache)
{
	AUTO_BUF struct buf of = BUF_EMPTY;
	unsigned char hash[HASH_BYTES];
	char text[2 * HASH_BYTES + 1];
	int r = -ENOMEM;

	buf_printf(&of, "%s\n%s\n%s\n%s", credentials->secret, day, request->region,
		   request->service);
	if (!of.failed)
		r = sha256(of.data, of.length, hash);
	if (of.data)
		explicit_bzero(of.data, of.length);
	if (r)
		return r;
	hex_encode(text, hash, sizeof(hash));
	if (strcmp(text, cache->of) == 0)
		return 0;
	cache->of[0] = '\0';
	r = derive(credentials->secret, day, request, cache->key);
	if (r == 0)
		memcpy(cache->of, text, sizeof(text));
	return r;
}

int sigv4_authorization(const struct sigv4_request *request, const struct credentials *credentials,
			struct sigv4_cache *cache, struct buf *out)
{
	AUTO_BUF struct buf names = BUF_EMPTY, to_sign = BUF_EMPTY;
	char hash[2 * HASH_BYTES + 1], stamp[32], day[16], scope[256];
	unsigned char signature[HASH_BYTES];
	struct tm tm;
	int r;

	if (!gmtime_r(&request->time, &tm) ||
	    !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) ||
	    !strftime(day, sizeof(day), "%Y%m%d", &tm))
		return -EINVAL;
	if ((size_t)snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", day, request->region,
			     request->service) >= sizeof(scope))
		return -EINVAL;
	r = canonical_hash(request, &names, hash);
	if (r)
		return r;
	r = day_key(request, credentials, day, cache);
	if (r)
		return r;
	buf_printf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hash);
	if (to_sign.failed)
		return -ENOMEM;
	r = hmac(cache->key, HASH_BYTES, to_sign.data, signature);
	if (r)
		return r;
	hex_encode(hash, signature, sizeof(signature));
	buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		   credentials->access_key, scope, buf_string(&names), hash);
	return out->failed ? -ENOMEM : 0;
}
