/* One signed request.
 *
 *     init → query, header, body or file → run → the answer in q->x → destroy
 *
 * Every header that is set here is signed, content-type and all x-amz-* among them: some servers
 * refuse a request (403) where one of these is not. The payload's SHA-256 is always computed and
 * signed: it is the one integrity check that nearly every dialect verifies.
 *
 * run sends once, and again at once only where the answer says what was wrong with the address or
 * the key:
 *     301, 307, 400 with a region       → that region, for good, where it is Amazon's endpoint or
 *                                         only the signature's region that has to change; never
 *                                         another host
 *     403 for the key or its signature  → if there are other credentials by now
 * Everything else is the door's to retry. */
#include "s3_internal.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/hex.h"
#include "cache/base/log.h"

enum {
	ATTEMPTS_MAX = 4,
	CONNECT_MS_MAX = 8000,
	IDLE_MS_MIN = 1000,
	IDLE_MS_MAX = 30000,
	HASH_STEP = 256 << 10,
	BYTES_PER_S_MIN = 32 << 10, /* slower than this is as good as stuck */
	LINE_BYTES = 16,
};

static const char EMPTY_SHA256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static bool is_wanted(const char *name)
{
	static const char *const names[] = {
	    "cache-control",
	    "content-length",
	    "content-range",
	    "content-type",
	    "date",
	    "etag",
	    "last-modified",
	    "location",
	    "retry-after",
	    "x-amz-bucket-region",
	    "x-amz-checksum-sha256",
	    "x-amz-meta-gid",
	    "x-amz-meta-mode",
	    "x-amz-meta-mtime",
	    "x-amz-meta-uid",
	    "x-amz-request-id",
	    "x-amz-server-side-encryption",
	    "x-amz-server-side-encryption-customer-algorithm",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void s3_request_init(struct s3_request *q, struct s3 *s, const char *method, const char *key)
{
	size_t prefix = strlen(s->place.prefix), length = key ? strlen(key) : 0;
	char *p;

	memset(q, 0, sizeof(*q));
	q->s = s;
	q->method = method;
	q->path = p = malloc(3 * (prefix + length) + 2);
	if (p && key) {
		*p++ = '/';
		p += key_percent(p, s->place.prefix, prefix, 1);
		p += key_percent(p, key, length, 1);
	}
	if (p)
		*p = '\0';
	q->failed = !q->path;
	memcpy(q->payload, EMPTY_SHA256, sizeof(q->payload));
	q->x.fd = -1;
	q->x.keep = is_wanted;
	q->x.body_max = XML_BYTES_MAX;
}

void s3_request_destroy(struct s3_request *q)
{
	for (size_t i = 0; i < q->headers_count; i++)
		free((char *)q->headers[i].value);
	buf_destroy(&q->query);
	free(q->path);
	exchange_destroy(&q->x);
}

void s3_request_query(struct s3_request *q, const char *name, const char *value)
{
	size_t length = strlen(value);
	AUTO_FREE char *encoded = malloc(3 * length + 1);

	if (!encoded) {
		q->failed = true;
		return;
	}
	key_percent(encoded, value, length, 0);
	buf_printf(&q->query, "%s%s=%s", q->query.length ? "&" : "", name, encoded);
}

void s3_request_header(struct s3_request *q, const char *name, const char *value)
{
	char *copy;

	if (!value || !*value)
		return;
	copy = strdup(value);
	if (!copy || q->headers_count == S3_HEADERS_MAX) {
		free(copy);
		q->failed = true;
		return;
	}
	q->headers[q->headers_count++] = (struct sigv4_header){name, copy};
}

void s3_request_headerf(struct s3_request *q, const char *name, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) >= (int)sizeof(text))
		q->failed = true;
	else
		s3_request_header(q, name, text);
	va_end(args);
}

int s3_request_body(struct s3_request *q, const void *body, size_t length)
{
	unsigned char hash[32];

	if (EVP_Digest(body, length, hash, NULL, EVP_sha256(), NULL) != 1)
		return fault_set(-ENOMEM, false, "no memory for a checksum");
	hex_encode(q->payload, hash, sizeof(hash));
	q->x.body = body;
	q->x.length = length;
	return 0;
}

/* md5 NULL = not that one. */
static int hash_file(EVP_MD_CTX *md, EVP_MD_CTX *md5, int fd, uint64_t offset, uint64_t length)
{
	AUTO_FREE char *bytes = malloc(HASH_STEP);

	if (!bytes)
		return -ENOMEM;
	while (length > 0) {
		size_t want = length < HASH_STEP ? (size_t)length : HASH_STEP;
		ssize_t got = pread(fd, bytes, want, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		if (EVP_DigestUpdate(md, bytes, (size_t)got) != 1 ||
		    (md5 && EVP_DigestUpdate(md5, bytes, (size_t)got) != 1))
			return -ENOMEM;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return 0;
}

int s3_request_file(struct s3_request *q, int fd, uint64_t offset, uint64_t length,
		    unsigned char sha256[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new(), *md5 = q->md5 ? EVP_MD_CTX_new() : NULL;
	bool with_md5 = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;
	int r = -ENOMEM;

	if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1)
		r = hash_file(md, with_md5 ? md5 : NULL, fd, offset, length);
	if (r == 0 && EVP_DigestFinal_ex(md, sha256, NULL) != 1)
		r = -ENOMEM;
	if (q->md5)
		*q->md5 = (struct sum){.kind = SUM_NONE};
	if (r == 0 && with_md5 && EVP_DigestFinal_ex(md5, q->md5->bytes, NULL) == 1)
		q->md5->kind = SUM_MD5;
	EVP_MD_CTX_free(md);
	EVP_MD_CTX_free(md5);
	if (r)
		return fault_set(r, false, "the file to send could not be read to its end: %s",
				 strerror(-r));
	hex_encode(q->payload, sha256, 32);
	q->x.fd = fd;
	q->x.offset = offset;
	q->x.length = length;
	return 0;
}

int64_t s3_request_deadline(const struct s3 *s, uint64_t bytes)
{
	return clock_ms() + s->io_timeout_ms + (int64_t)(bytes / (BYTES_PER_S_MIN / 1000));
}

/* -- sending -- */

/* The headers of one attempt: those of the request and those that depend on time, place and key. */
struct lines {
	struct sigv4_header signed_headers[S3_HEADERS_MAX + 4];
	char *text[S3_HEADERS_MAX + 5];
	size_t count;
};

static void lines_destroy(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->text[i]);
	l->count = 0;
}

static bool lines_append(struct lines *l, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *text = malloc(size);

	if (!text)
		return false;
	snprintf(text, size, "%s: %s", name, value);
	l->text[l->count++] = text;
	return true;
}

static int sign(struct s3_request *q, struct lines *l, const struct credentials *c,
		const struct sigv4_request *request)
{
	AUTO_BUF struct buf authorization = BUF_EMPTY;
	int r;

	lock_take(&q->s->lock);
	r = sigv4_authorization(request, c, &q->s->locked.key, &authorization);
	lock_drop(&q->s->lock);
	for (size_t i = 0; i < request->headers_count && r == 0; i++)
		if (!lines_append(l, request->headers[i].name, request->headers[i].value))
			r = -ENOMEM;
	if (r == 0 && !lines_append(l, "authorization", buf_string(&authorization)))
		r = -ENOMEM;
	return r;
}

static int fill_lines(struct s3_request *q, struct lines *l, const struct s3_address *address,
		      const char *region, const struct credentials *c)
{
	time_t now = (time_t)(clock_wall_ns() / 1000000000);
	AUTO_BUF struct buf path = BUF_EMPTY;
	char stamp[LINE_BYTES + 1];
	size_t n = q->headers_count;
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	memcpy(l->signed_headers, q->headers, n * sizeof(q->headers[0]));
	l->signed_headers[n++] = (struct sigv4_header){"host", address->host};
	l->signed_headers[n++] = (struct sigv4_header){"x-amz-content-sha256", q->payload};
	l->signed_headers[n++] = (struct sigv4_header){"x-amz-date", stamp};
	if (c->token[0])
		l->signed_headers[n++] = (struct sigv4_header){"x-amz-security-token", c->token};
	buf_printf(&path, "%s%s", address->root, q->path);
	if (path.length == 0)
		buf_text(&path, "/");
	if (path.failed)
		return -ENOMEM;
	struct sigv4_request request = {
	    .method = q->method,
	    .path = path.data,
	    .query = buf_string(&q->query),
	    .headers = l->signed_headers,
	    .headers_count = n,
	    .payload_sha256 = q->payload,
	    .region = region,
	    .service = "s3",
	    .time = now,
	};
	return sign(q, l, c, &request);
}

static int send_once(struct s3_request *q, const struct credentials *c, const char *host,
		     const char *region)
{
	const struct s3 *s = q->s;
	AUTO_BUF struct buf url = BUF_EMPTY;
	struct lines l = {.count = 0};
	struct s3_address address;
	int r;

	s3_place_address(&s->place, host, &address);
	r = fill_lines(q, &l, &address, region, c);
	buf_printf(&url, "%s://%s%s%s%s%s", s->place.tls ? "https" : "http", address.host,
		   address.root, *q->path || *address.root ? q->path : "/",
		   q->query.length ? "?" : "", buf_string(&q->query));
	if (r == 0 && (q->failed || q->query.failed || url.failed))
		r = -ENOMEM;
	if (r == 0) {
		int64_t idle = s->io_timeout_ms < IDLE_MS_MIN	? IDLE_MS_MIN
			       : s->io_timeout_ms > IDLE_MS_MAX ? IDLE_MS_MAX
								: s->io_timeout_ms;
		exchange_destroy(&q->x);
		q->x.method = q->method;
		q->x.url = url.data;
		q->x.headers = (const char *const *)l.text;
		q->x.headers_count = l.count;
		q->x.connect_timeout_ms =
		    s->io_timeout_ms < CONNECT_MS_MAX ? s->io_timeout_ms : CONNECT_MS_MAX;
		q->x.idle_timeout_ms = idle + q->patience_ms;
		q->x.deadline_ms = s3_request_deadline(s, q->x.length) + q->patience_ms;
		r = http_run(s->http, &q->x);
		q->x.url = NULL;
		q->x.headers = NULL;
	}
	lines_destroy(&l);
	return r;
}

/* -- the answers that lead to another attempt at once -- */

/* The region that the answer names, by header or in its error. */
static bool named_region(const struct s3_request *q, char out[S3_REGION_BYTES])
{
	const char *header = exchange_header(&q->x, "x-amz-bucket-region");
	const char *named = header ? header : q->error.region;

	if (s3_place_is_region(named)) {
		memcpy(out, named, strlen(named) + 1);
		return true;
	}
	return s3_place_region_of(q->error.endpoint, out);
}

/* Remembers the region where it is one that may be followed. */
static bool follow_region(struct s3_request *q, const char *region_now)
{
	struct s3 *s = q->s;
	char region[S3_REGION_BYTES], host[S3_HOST_BYTES];
	bool moved = q->x.status == 301 || q->x.status == 307;
	bool changed;

	if (!moved && strcmp(q->error.code, "AuthorizationHeaderMalformed") != 0)
		return false;
	if (moved && !s->place.aws)
		return false;
	if (!named_region(q, region) || strcmp(region, region_now) == 0)
		return false;
	lock_take(&s->lock);
	changed = strcmp(s->locked.region, region) != 0;
	memcpy(s->locked.region, region, sizeof(region));
	if (s->place.aws) {
		s3_place_aws_host(host, region);
		memcpy(s->locked.host, host, sizeof(host));
	}
	lock_drop(&s->lock);
	if (changed)
		log_info(
		    "bucket: it is in another region than configured, which is followed; bucket=%s "
		    "region=%s",
		    s->place.bucket, region);
	return true;
}

/* There are other credentials than those that were refused. */
static bool fresh_credentials(struct s3_request *q, const struct credentials *c)
{
	struct credentials other;
	bool fresh = false;

	if (!s3_fault_is_credentials(q->error.code))
		return false;
	credentials_refused(q->s->credentials, c, q->error.code);
	if (credentials_get(q->s->credentials, &other) == 0)
		fresh = !credentials_same(&other, c);
	credentials_wipe(&other);
	return fresh;
}

static bool is_answer(const struct s3_request *q, int rc)
{
	return rc == 0 && q->x.status >= 200 && q->x.status < 300;
}

static int attempt(struct s3_request *q, bool *again)
{
	char region[S3_REGION_BYTES], host[S3_HOST_BYTES];
	struct credentials c;
	int r;

	*again = false;
	lock_take(&q->s->lock);
	memcpy(region, q->s->locked.region, sizeof(region));
	memcpy(host, q->s->locked.host, sizeof(host));
	lock_drop(&q->s->lock);
	r = credentials_get(q->s->credentials, &c);
	if (r) {
		/* The fault is set. The code keeps this from being taken for what a server denies. */
		snprintf(fault_of_thread()->code, sizeof(fault_of_thread()->code), "NoCredentials");
		return r;
	}
	r = send_once(q, &c, host, region);
	memset(&q->error, 0, sizeof(q->error));
	if (is_answer(q, r)) {
		credentials_worked(q->s->credentials, &c);
		credentials_wipe(&c);
		return 0;
	}
	/* An error that was cut off is still told by its status. */
	if (q->x.status >= 300 && q->x.error_body.length > 0 &&
	    s3_xml_error(q->x.error_body.data, q->x.error_body.length, &q->error) == 0 &&
	    r == -EPROTO)
		r = 0;
	if (r == 0)
		*again = follow_region(q, region) || fresh_credentials(q, &c);
	credentials_wipe(&c);
	return s3_fault_of(q, r);
}

int s3_request_run(struct s3_request *q)
{
	bool again = true;
	int r = 0;

	for (int i = 0; i < ATTEMPTS_MAX && again; i++) {
		fault_clear();
		r = attempt(q, &again);
	}
	return r;
}
