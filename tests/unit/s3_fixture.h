/* A bucket of the S3 client's at a server that plays a script, checks each signature as S3 would, and notes what was
 * asked. For tests/unit only. */
#ifndef TOOTFS_TESTS_S3_FIXTURE_H
#define TOOTFS_TESTS_S3_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include "cache/base/hex.h"
#include "cache/bucket/s3_internal.h"
#include "http_server.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define XML_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define ERROR_XML(code) XML_HEAD "<Error><Code>" code "</Code><Message></Message></Error>"
#define ACCESS_KEY "AKIDEXAMPLE:with-colon"
#define SECRET	   "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

/* One answer; headers is lines with CRLF. length beyond the body's or below it with cut set. */
struct step {
	const char *asked; /* "METHOD TARGET", or NULL = whatever */
	int status;
	const char *headers, *body;
};

struct fixture {
	struct server *server;
	struct bucket_impl bucket;
	struct s3 *s3;
	const struct step *steps;
	unsigned steps_count, first; /* first: the number of the first request of this script */
	struct buf faults;	     /* what the server found wrong; checked at the end of a script */
	struct server_request *last; /* the last request of the script */
	pthread_mutex_t mutex;
	void (*on_request)(struct fixture *f, const struct server_request *q);
	const char *secret;
	char endpoint[64];
};

static inline void fixture_wrong(struct fixture *f, const char *what, const char *detail)
{
	buf_printf(&f->faults, "%s: %s\n", what, detail);
}

/* -- the signature, as a server checks it -- */

static inline bool signed_name(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = names; *p; p += strcspn(p, ";") + (p[strcspn(p, ";")] == ';'))
		if (strncmp(p, name, n) == 0 && (p[n] == ';' || p[n] == '\0'))
			return true;
	return false;
}

/* Every header that has to be signed is. */
static inline void check_signed(struct fixture *f, const struct server_request *q, const char *names)
{
	for (const char *p = strstr(q->head, "\r\n") + 2; *p != '\r'; p = strstr(p, "\r\n") + 2) {
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, ":"), p);
		for (char *c = name; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
		bool must = strcmp(name, "host") == 0 || strcmp(name, "content-type") == 0 ||
			    strcmp(name, "content-md5") == 0 || strncmp(name, "x-amz-", 6) == 0;
		if (must && !signed_name(names, name))
			fixture_wrong(f, "not signed", name);
	}
}

static inline void check_signature(struct fixture *f, const struct server_request *q)
{
	char authorization[8192], names[2048], scope[256], hash[65], target[4096];
	unsigned char bytes[32];
	struct sigv4_header headers[48];
	size_t count = 0;

	snprintf(authorization, sizeof(authorization), "%s", server_header(q, "authorization"));
	if (sscanf(authorization, "AWS4-HMAC-SHA256 Credential=%255[^,], SignedHeaders=%2047[^,],", scope, names) != 2) {
		fixture_wrong(f, "no signature", authorization);
		return;
	}
	check_signed(f, q, names);
	EVP_Digest(q->body, q->body_bytes, bytes, NULL, EVP_sha256(), NULL);
	hex_encode(hash, bytes, 32);
	if (strcmp(hash, server_header(q, "x-amz-content-sha256")) != 0)
		fixture_wrong(f, "XAmzContentSHA256Mismatch", hash);

	snprintf(target, sizeof(target), "%s", q->target);
	char *path = strncmp(target, "http://", 7) == 0 ? strchr(target + 7, '/') : target;
	char *query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	for (char *save = NULL, *n = strtok_r(names, ";", &save); n; n = strtok_r(NULL, ";", &save))
		headers[count++] = (struct sigv4_header){n, strdup(server_header(q, n))};
	struct tm tm = {.tm_year = 0};
	strptime(server_header(q, "x-amz-date"), "%Y%m%dT%H%M%SZ", &tm);
	char *day = strchr(scope, '/'), *region = strchr(day + 1, '/'), *service = strchr(region + 1, '/');
	*day = *service = '\0';
	struct credentials key = {.access_key = ""};
	snprintf(key.access_key, sizeof(key.access_key), "%s", scope);
	snprintf(key.secret, sizeof(key.secret), "%s", f->secret);
	struct sigv4_request request = {.method = q->method, .path = path, .query = query ? query : "",
					.headers = headers, .headers_count = count, .payload_sha256 = hash,
					.region = region + 1, .service = "s3", .time = timegm(&tm)};
	struct sigv4_cache cache = {.of = ""};
	AUTO_BUF struct buf want = BUF_EMPTY;
	if (sigv4_authorization(&request, &key, &cache, &want) || strcmp(want.data, authorization) != 0)
		fixture_wrong(f, "SignatureDoesNotMatch", authorization);
	for (size_t i = 0; i < count; i++)
		free((char *)headers[i].value);
}

/* -- the script -- */

static inline void note_last(struct fixture *f, const struct server_request *q)
{
	if (f->last)
		free(f->last->body);
	free(f->last);
	f->last = malloc(sizeof(*f->last));
	assert(f->last);
	*f->last = *q;
	f->last->body = malloc(q->body_bytes + 1);
	assert(f->last->body);
	memcpy(f->last->body, q->body, q->body_bytes + 1);
}

static inline bool play(struct server *s, struct server_request *q)
{
	struct fixture *f = s->arg;
	char asked[4200];

	pthread_mutex_lock(&f->mutex);
	unsigned n = q->number - f->first;
	snprintf(asked, sizeof(asked), "%s %s", q->method, q->target);
	note_last(f, q);
	check_signature(f, q);
	if (f->on_request)
		f->on_request(f, q);
	if (n >= f->steps_count) {
		fixture_wrong(f, "one request too many", asked);
		pthread_mutex_unlock(&f->mutex);
		return false;
	}
	struct step step = f->steps[n]; /* gone once it is answered */
	if (step.asked && strcmp(step.asked, asked) != 0)
		fixture_wrong(f, "asked", asked);
	pthread_mutex_unlock(&f->mutex);
	if (step.status == 0) /* raw */
		server_printf(q, "%s", step.body);
	else if (strcmp(q->method, "HEAD") == 0)
		server_printf(q, "HTTP/1.1 %d X\r\n%s\r\n", step.status, step.headers ? step.headers : "");
	else
		server_reply(q, step.status, step.headers ? step.headers : "", step.body ? step.body : "");
	return step.status != 0;
}

static inline void script(struct fixture *f, const struct step *steps, size_t count)
{
	pthread_mutex_lock(&f->mutex);
	f->steps = steps;
	f->steps_count = (unsigned)count;
	f->first = (unsigned)f->server->requests;
	pthread_mutex_unlock(&f->mutex);
	fault_clear();
}

/* All answers of the script were used, and nothing was wrong with the requests. */
static inline void script_end(struct fixture *f)
{
	pthread_mutex_lock(&f->mutex);
	if (f->faults.length)
		print_message("%s", f->faults.data);
	assert_int_equal(f->faults.length, 0);
	assert_int_equal((unsigned)f->server->requests - f->first, f->steps_count);
	pthread_mutex_unlock(&f->mutex);
}

#define SCRIPT(f, ...)                                                                             \
	static const struct step steps_[] = {__VA_ARGS__};                                         \
	script(f, steps_, COUNT(steps_))

static inline void fixture_open(struct fixture *f, const struct bucket_config *options)
{
	struct bucket_config config = *options;

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->mutex, NULL);
	f->secret = SECRET;
	f->server = server_start(play, f);
	snprintf(f->endpoint, sizeof(f->endpoint), "http://127.0.0.1:%d", f->server->port);
	if (!config.spec)
		config.spec = "s3://media/sys";
	if (!config.endpoint)
		config.endpoint = f->endpoint;
	if (!config.acl)
		config.acl = "none";
	if (!config.io_timeout_ms)
		config.io_timeout_ms = 3000;
	config.connections_max = 4;
	int r = s3_bucket_open(&config, &f->bucket);
	if (r)
		print_message("%s\n", bucket_why());
	assert_int_equal(r, 0);
	f->s3 = f->bucket.self;
	assert_int_equal(f->bucket.ops->start(f->s3), 0);
}

static inline void fixture_close(struct fixture *f)
{
	f->bucket.ops->stop(f->s3);
	f->bucket.ops->close(f->s3);
	free(f->bucket.identity);
	server_stop(f->server);
	if (f->last)
		free(f->last->body);
	free(f->last);
	buf_destroy(&f->faults);
	pthread_mutex_destroy(&f->mutex);
}

/* No configuration or proxy of this machine's may matter. */
static inline void fixture_environment(void)
{
	static const char *const unset[] = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
					    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "http_proxy",
					    "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};

	for (size_t i = 0; i < COUNT(unset); i++)
		unsetenv(unset[i]);
	setenv("HOME", "/nonexistent", 1);
	setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY, 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
}

/* -- a sink that keeps everything -- */

struct memory {
	struct sink sink;
	struct object object;
	struct buf bytes;
	uint64_t next;
	int begun, fail_begin, fail_take;
	bool gap;
};

static inline int memory_begin(struct sink *sink, const struct object *object)
{
	struct memory *m = (struct memory *)sink;

	m->begun++;
	m->object = *object;
	return m->fail_begin;
}

static inline int memory_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct memory *m = (struct memory *)sink;

	m->gap |= offset != m->next || length == 0;
	m->next = offset + length;
	buf_append(&m->bytes, bytes, length);
	return m->fail_take;
}

static inline int fetch(struct fixture *f, const char *key, uint64_t offset, uint64_t length, const char *etag,
			struct memory *m)
{
	const struct get_request request = {key, offset, length, etag, &m->sink};

	buf_clear(&m->bytes);
	m->sink = (struct sink){memory_begin, memory_take};
	m->next = offset;
	m->begun = 0;
	m->gap = false;
	memset(&m->object, 0, sizeof(m->object));
	return f->bucket.ops->get(f->s3, &request);
}

/* A file that holds text. */
static inline int file_of(const char *text)
{
	int fd = memfd_create("body", 0);

	assert(fd >= 0);
	ssize_t n = write(fd, text, strlen(text));
	assert(n == (ssize_t)strlen(text));
	return fd;
}

#endif
