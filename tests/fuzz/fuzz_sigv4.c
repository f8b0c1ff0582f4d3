/* Any texts as path, query and headers: a signature is made or refused, it does not depend on the order of the query or
 * of the headers, and nothing that would end a header line is ever signed.
 *
 * Input: texts separated by newlines: path, query, then name and value of headers. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXTS_MAX = 18, HEADERS_MAX = 8 };

static const struct credentials key = {.access_key = "test:tester", .secret = "secret-of-the-test"};

static int authorize(const char *path, const char *query, struct sigv4_header *headers, size_t count,
		     struct buf *out)
{
	static struct sigv4_cache cache;
	const struct sigv4_request request = {.method = "GET", .path = path, .query = query, .headers = headers,
					      .headers_count = count, .payload_sha256 = "UNSIGNED-PAYLOAD",
					      .region = "us-east-1", .service = "s3", .time = 1440938160};

	return sigv4_authorization(&request, &key, &cache, out);
}

/* The pairs of a query in reverse. */
static char *reversed(const char *query)
{
	size_t length = strlen(query), at = length;
	char *out = calloc(1, length + 1);

	assert(out);
	for (const char *p = query; *p;) {
		size_t n = strcspn(p, "&");
		at -= n;
		memcpy(out + at, p, n);
		p += n;
		if (*p == '&') {
			out[--at] = '&';
			p++;
		}
	}
	return out;
}

static bool distinct(const struct sigv4_header *h, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(h[i].name, h[j].name) == 0)
				return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf one = BUF_EMPTY, other = BUF_EMPTY;
	struct sigv4_header headers[HEADERS_MAX], again[HEADERS_MAX];
	const char *texts[TEXTS_MAX];
	size_t count = 0, n = 0;
	char *copy = malloc(size + 1);

	assert(copy);
	memcpy(copy, data, size);
	copy[size] = '\0';
	for (char *p = copy; p && count < TEXTS_MAX; count++) {
		texts[count] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	for (size_t i = 2; i + 1 < count && n < HEADERS_MAX; i += 2)
		headers[n++] = (struct sigv4_header){texts[i], texts[i + 1]};
	const char *query = count > 1 ? texts[1] : "";
	for (size_t i = 0; i < n; i++)
		again[i] = headers[n - 1 - i];

	int r = authorize(texts[0], query, headers, n, &one);
	assert(r == 0 || r == -EINVAL);
	if (r == 0) {
		assert(!strpbrk(one.data, "\r\n"));
		for (size_t i = 0; i < n; i++)
			assert(!strpbrk(headers[i].value, "\r\x1b"));
	}
	char *back = reversed(query);
	if (distinct(headers, n)) {
		assert(authorize(texts[0], back, again, n, &other) == r);
		assert(strcmp(buf_string(&one), buf_string(&other)) == 0);
	}
	free(back);
	free(copy);
	buf_destroy(&one);
	buf_destroy(&other);
	return 0;
}
