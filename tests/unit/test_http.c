#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>
#include "cache/base/clock.h"
#include "cache/bucket/http.h"
#include "http_server.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { SOON_MS = 5000 }; /* far more than anything here should take */

/* What came out of one exchange. */
struct got {
	struct buf bytes;
	int begun, status_at_begin, fail_begin, fail_take;
	int result;
};

static int on_begin(void *arg, struct exchange *x)
{
	struct got *g = arg;

	g->begun++;
	g->status_at_begin = x->status;
	return g->fail_begin;
}

static int on_take(void *arg, const void *bytes, size_t length)
{
	struct got *g = arg;

	assert(g->begun == 1);
	buf_append(&g->bytes, bytes, length);
	return g->fail_take;
}

static struct http *start(int connections)
{
	struct http *h;

	assert_int_equal(http_open(connections, "tootfs/test", &h), 0);
	assert_int_equal(http_start(h), 0);
	return h;
}

static void stop(struct http **h)
{
	http_stop(*h);
	http_close(h);
}

static struct exchange get(const char *url)
{
	return (struct exchange){.method = "GET", .url = url, .fd = -1, .connect_timeout_ms = SOON_MS,
				 .idle_timeout_ms = SOON_MS, .deadline_ms = clock_ms() + SOON_MS,
				 .body_max = 1000};
}

static void url_of(char url[256], const struct server *s, const char *path)
{
	snprintf(url, 256, "http://127.0.0.1:%d%s", s->port, path);
}

/* Runs one GET with begin and take. */
static struct exchange fetch(struct http *h, const struct server *s, struct got *g)
{
	char url[256];

	url_of(url, s, "/x");
	struct exchange x = get(url);
	x.begin = on_begin;
	x.take = on_take;
	x.arg = g;
	g->result = http_run(h, &x);
	x.url = NULL;
	return x;
}

/* -- answers, one after the other as the target says -- */

static bool answer_fine(struct server *s, struct server_request *q)
{
	(void)s;
	server_reply(q, 200, "X-Amz-Meta-Mtime:  12.5 \r\nETag: \"abc\"\r\nEmpty:\r\n", "hello");
	return true;
}

static void test_fine(void **state)
{
	(void)state;
	struct server *s = server_start(answer_fine, NULL);
	struct http *h = start(4);

	for (int i = 0; i < 20; i++) {
		struct got g = {.begun = 0};
		struct exchange x = fetch(h, s, &g);

		assert_int_equal(g.result, 0);
		assert_int_equal(x.status, 200);
		assert_int_equal(g.begun, 1);
		assert_int_equal(g.status_at_begin, 200);
		assert_string_equal(buf_string(&g.bytes), "hello");
		assert_string_equal(exchange_header(&x, "x-amz-meta-mtime"), "12.5");
		assert_string_equal(exchange_header(&x, "etag"), "\"abc\"");
		assert_string_equal(exchange_header(&x, "empty"), "");
		assert_null(exchange_header(&x, "ETag"));
		assert_null(exchange_header(&x, "date"));
		exchange_destroy(&x);
		buf_destroy(&g.bytes);
	}
	assert_int_equal(s->connections, 1);
	assert_int_equal(http_connections(h), 1);
	stop(&h);
	server_stop(s);
}

/* -- answers that are wrong in one way each -- */

struct odd {
	const char *name;
	void (*send)(const struct server_request *q);
	int result, status;
	const char *body;
	bool keep;
	const char *raw; /* sent where send is NULL */
};

static void send_chunked(const struct server_request *q)
{
	server_printf(q, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n");
	server_printf(q, "2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n");
}

static void send_cut(const struct server_request *q)
{
	server_printf(q, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}

static void send_cut_reset(const struct server_request *q)
{
	send_cut(q);
	server_sleep_ms(50);
	server_reset(q);
}

static void send_reset(const struct server_request *q)
{
	server_reset(q);
}

static void send_continue(const struct server_request *q)
{
	server_printf(q, "HTTP/1.1 100 Continue\r\nETag: wrong\r\n\r\n");
	server_printf(q, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	server_reply(q, 200, "", "hello");
}

static void send_huge_header(const struct server_request *q)
{
	char line[1024];

	memset(line, 'a', sizeof(line));
	server_printf(q, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 300; i++)
		server_printf(q, "X-%d: %.1000s\r\n", i, line);
	server_printf(q, "Content-Length: 5\r\n\r\nhello");
}

static void send_missing(const struct server_request *q)
{
	server_reply(q, 404, "", "<Error/>");
}

static const struct odd odds[] = {
	{"chunked", send_chunked, 0, 200, "hello", true, NULL},
	{"cut", NULL, -EPROTO, 200, "hello", false,
	 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
	{"chunked, cut", NULL, -EPROTO, 200, "hello", false,
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
	{"cut by a reset", send_cut_reset, -EPROTO, 200, "hello", false, NULL},
	{"no answer", NULL, -EHOSTDOWN, 0, "", false,
	 ""},
	{"a reset", send_reset, -EHOSTDOWN, 0, "", false, NULL},
	{"half a head", NULL, -EPROTO, 0, "", false,
	 "HTTP/1.1 200 OK\r\nContent-Le"},
	{"another protocol", NULL, -EPROTO, 0, "", false,
	 "SSH-2.0-OpenSSH_9.2\r\n"},
	{"100 and 103 first", send_continue, 0, 200, "hello", true, NULL},
	{"until the end", NULL, 0, 200, "hello", false,
	 "HTTP/1.0 200 OK\r\n\r\nhello"},
	{"longer than announced", NULL, 0, 200, "hello", false,
	 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"},
	{"300 kB of headers", send_huge_header, -EPROTO, 0, "", false, NULL},
	{"empty", NULL, 0, 200, "", true,
	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"204", NULL, 0, 204, "", true,
	 "HTTP/1.1 204 No Content\r\n\r\n"},
	{"a redirect", NULL, 0, 302, "", true,
	 "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 9\r\n\r\nelsewhere"},
	{"404", send_missing, 0, 404, "", true, NULL},
	{"404, cut", NULL, -EPROTO, 404, "", false,
	 "HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\n<Error"},
	{"a bad chunk", NULL, -EPROTO, 200, "", false,
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"},
};

static bool answer_odd(struct server *s, struct server_request *q)
{
	const struct odd *o = s->arg;

	if (o->send)
		o->send(q);
	else
		server_printf(q, "%s", o->raw);
	return o->keep;
}

static void test_odd_answers(void **state)
{
	(void)state;
	struct http *h = start(4);

	for (size_t i = 0; i < COUNT(odds); i++) {
		const struct odd *o = &odds[i];
		struct server *s = server_start(answer_odd, (void *)o);
		struct got g = {.begun = 0};
		struct exchange x = fetch(h, s, &g);
		bool fine = o->status >= 200 && o->status < 300;

		if (g.result != o->result || x.status != o->status)
			print_message("%s: %d, status %d, %s\n", o->name, g.result, x.status, x.transport_error);
		assert_int_equal(g.result, o->result);
		assert_int_equal(x.status, o->status);
		assert_int_equal(g.begun, fine);
		assert_string_equal(buf_string(&g.bytes), o->body);
		assert_true(g.result == 0 || x.transport_error[0]);
		assert_false(x.transport_final);
		if (o->send == send_continue)
			assert_null(exchange_header(&x, "etag"));
		if (o->send == send_missing)
			assert_string_equal(buf_string(&x.error_body), "<Error/>");
		exchange_destroy(&x);
		buf_destroy(&g.bytes);
		server_stop(s);
	}
	stop(&h);
}

/* -- what is slow -- */

static bool answer_never(struct server *s, struct server_request *q)
{
	(void)q;
	while (!s->stopping)
		server_sleep_ms(10);
	return false;
}

static bool answer_half(struct server *s, struct server_request *q)
{
	send_cut(q);
	return answer_never(s, q);
}

static bool answer_trickle(struct server *s, struct server_request *q)
{
	server_printf(q, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	while (!s->stopping) {
		server_printf(q, "x");
		server_sleep_ms(20);
	}
	return false;
}

static void test_slow(void **state)
{
	(void)state;
	static const struct {
		bool (*answer)(struct server *s, struct server_request *q);
		int idle_ms, deadline_ms, status;
	} cases[] = {
		{answer_never, 200, 0, 0},     {answer_never, 0, 200, 0},     {answer_half, 1000, 0, 200},
		{answer_half, 5000, 1000, 200}, {answer_trickle, 1000, 1500, 200},
	};
	struct http *h = start(4);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct server *s = server_start(cases[i].answer, NULL);
		int64_t before = clock_ms(), took;
		struct got g = {.begun = 0};
		char url[256];

		url_of(url, s, "/");
		struct exchange x = get(url);
		x.begin = on_begin;
		x.take = on_take;
		x.arg = &g;
		x.idle_timeout_ms = cases[i].idle_ms;
		x.deadline_ms = cases[i].deadline_ms ? before + cases[i].deadline_ms : 0;
		assert_int_equal(http_run(h, &x), -ETIMEDOUT);
		took = clock_ms() - before;
		assert_true(took >= 190 && took < SOON_MS);
		assert_int_equal(x.status, cases[i].status);
		assert_true(x.transport_error[0]);
		exchange_destroy(&x);
		buf_destroy(&g.bytes);
		server_stop(s);
	}
	stop(&h);
}

/* begin may grant more time than there was. */
static int begin_moves(void *arg, struct exchange *x)
{
	(void)arg;
	x->deadline_ms = clock_ms() + SOON_MS;
	return 0;
}

static bool answer_late(struct server *s, struct server_request *q)
{
	(void)s;
	server_printf(q, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	server_sleep_ms(2000);
	server_printf(q, "llo");
	return true;
}

static void test_deadline_moved(void **state)
{
	(void)state;
	struct server *s = server_start(answer_late, NULL);
	struct http *h = start(4);
	char url[256];

	url_of(url, s, "/");
	struct exchange x = get(url);
	x.deadline_ms = clock_ms() + 1500;
	x.begin = begin_moves;
	assert_int_equal(http_run(h, &x), 0);
	assert_string_equal(buf_string(&x.body_out), "hello");
	exchange_destroy(&x);
	stop(&h);
	server_stop(s);
}

/* -- limits -- */

static bool only_etag(const char *name)
{
	return strcmp(name, "etag") == 0;
}

static bool answer_many_headers(struct server *s, struct server_request *q)
{
	(void)s;
	server_printf(q, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 200; i++)
		server_printf(q, "X-Amz-Meta-%d: %d\r\n", i, i);
	server_printf(q, "ETag: last\r\nContent-Length: 0\r\n\r\n");
	return true;
}

static void test_many_headers(void **state)
{
	(void)state;
	struct server *s = server_start(answer_many_headers, NULL);
	struct http *h = start(4);
	char url[256];

	url_of(url, s, "/");
	struct exchange x = get(url);
	assert_int_equal(http_run(h, &x), 0);
	assert_int_equal(x.reply_count, HTTP_REPLY_MAX);
	assert_string_equal(exchange_header(&x, "x-amz-meta-63"), "63");
	assert_null(exchange_header(&x, "etag"));
	exchange_destroy(&x);
	x.keep = only_etag;
	assert_int_equal(http_run(h, &x), 0);
	assert_int_equal(x.reply_count, 1);
	assert_string_equal(exchange_header(&x, "etag"), "last");
	exchange_destroy(&x);
	stop(&h);
	server_stop(s);
}

static bool answer_size(struct server *s, struct server_request *q)
{
	int status, size;
	char bytes[1000];

	(void)s;
	if (sscanf(q->target, "/%d/%d", &status, &size) != 2)
		return false;
	memset(bytes, 'b', sizeof(bytes));
	server_printf(q, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n", status, size);
	for (int n = size; n > 0; n -= 1000)
		server_send(q, bytes, n < 1000 ? (size_t)n : 1000);
	return true;
}

static void test_body_limits(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		int result;
		size_t body, error_body;
	} cases[] = {
		{"/200/1000", 0, 1000, 0},	      {"/200/1001", -EPROTO, 0, 0},
		{"/200/5000000", -EPROTO, 0, 0},      {"/500/65536", 0, 0, 65536},
		{"/500/65537", 0, 0, 65536},	      {"/403/20000000", 0, 0, 65536},
		{"/200/1000", 0, 1000, 0},
	};
	struct server *s = server_start(answer_size, NULL);
	struct http *h = start(4);

	for (size_t i = 0; i < COUNT(cases); i++) {
		char url[256];

		url_of(url, s, cases[i].path);
		struct exchange x = get(url);
		assert_int_equal(http_run(h, &x), cases[i].result);
		if (cases[i].result == 0)
			assert_int_equal(x.body_out.length, cases[i].body);
		assert_int_equal(x.error_body.length, cases[i].error_body);
		exchange_destroy(&x);
	}
	stop(&h);
	server_stop(s);
}

static void test_receiver_ends_it(void **state)
{
	(void)state;
	struct server *s = server_start(answer_fine, NULL);
	struct http *h = start(4);

	struct got at_begin = {.fail_begin = -ESTALE}, at_take = {.fail_take = -ENOSPC};
	struct exchange x = fetch(h, s, &at_begin);
	assert_int_equal(at_begin.result, -ESTALE);
	assert_null(at_begin.bytes.data);
	exchange_destroy(&x);
	x = fetch(h, s, &at_take);
	assert_int_equal(at_take.result, -ENOSPC);
	exchange_destroy(&x);
	buf_destroy(&at_take.bytes);
	stop(&h);
	server_stop(s);
}

/* -- sending -- */

static bool answer_echo(struct server *s, struct server_request *q)
{
	(void)s;
	const char *length = server_header(q, "content-length");

	if (server_header(q, "expect") || server_header(q, "transfer-encoding") || !length)
		server_reply(q, 400, "", "");
	else
		server_printf(q, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\nX-Method: %s\r\nX-Target: %s\r\n\r\n%s", length,
			      q->method, q->target, q->body);
	return true;
}

static void test_bodies(void **state)
{
	(void)state;
	static const char *const headers[] = {"content-type: text/x", "x-amz-acl: private"};
	struct server *s = server_start(answer_echo, NULL);
	struct http *h = start(4);
	size_t big = 3000000;
	char *text = malloc(big + 1), url[256];
	int fd = memfd_create("body", 0);

	assert_true(text && fd >= 0);
	for (size_t i = 0; i < big; i++)
		text[i] = (char)('a' + i % 23);
	text[big] = '\0';
	assert_int_equal(write(fd, text, big), big);
	url_of(url, s, "/a/../b//c?x=%20");
	for (int i = 0; i < 6; i++) {
		static const char *const methods[] = {"PUT", "POST"};
		size_t offset = i < 2 ? 0 : 12345, length = i < 2 ? 0 : i < 4 ? 1000 : big - 12345;
		struct exchange x = get(url);

		x.method = methods[i % 2];
		x.headers = headers;
		x.headers_count = 2;
		x.body_max = big;
		x.length = length;
		if (i == 3) {
			x.body = text + offset;
		} else {
			x.fd = fd;
			x.offset = offset;
		}
		assert_int_equal(http_run(h, &x), 0);
		assert_int_equal(x.status, 200);
		assert_string_equal(exchange_header(&x, "x-method"), methods[i % 2]);
		assert_string_equal(exchange_header(&x, "x-target"), "/a/../b//c?x=%20");
		assert_int_equal(x.body_out.length, length);
		if (length)
			assert_memory_equal(x.body_out.data, text + offset, length);
		exchange_destroy(&x);
	}
	struct exchange x = get(url);
	x.method = "PUT";
	x.fd = fd;
	x.offset = big - 10;
	x.length = 20;
	assert_int_equal(http_run(h, &x), -EIO);
	exchange_destroy(&x);
	free(text);
	close(fd);
	stop(&h);
	server_stop(s);
}

static bool answer_early(struct server *s, struct server_request *q)
{
	char rest[65536];

	(void)s;
	server_printf(q, "HTTP/1.1 403 No\r\nContent-Length: 8\r\nConnection: close\r\n\r\n<Error/>");
	shutdown(q->fd, SHUT_WR);
	while (recv(q->fd, rest, sizeof(rest), 0) > 0)
		;
	return false;
}

/* A server that refuses before it has read the body is understood. */
static void test_early_refusal(void **state)
{
	(void)state;
	struct server *s = server_start(answer_early, NULL);
	struct http *h = start(4);
	int fd = memfd_create("body", 0);
	char url[256];

	s->early = true;
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	url_of(url, s, "/");
	struct exchange x = get(url);
	x.method = "PUT";
	x.fd = fd;
	x.length = 64 << 20;
	assert_int_equal(http_run(h, &x), 0);
	assert_int_equal(x.status, 403);
	assert_string_equal(buf_string(&x.error_body), "<Error/>");
	exchange_destroy(&x);
	close(fd);
	stop(&h);
	server_stop(s);
}

/* Every second request finds its kept-alive connection dead, and is repeated on a new one. */
static bool answer_then_hang_up(struct server *s, struct server_request *q)
{
	if (q->number % 2 == 1 && s->connections % 2 == 1) {
		server_reset(q);
		return false;
	}
	server_reply(q, 200, "", q->body);
	return true;
}

static void test_dead_connection(void **state)
{
	(void)state;
	struct server *s = server_start(answer_then_hang_up, NULL);
	struct http *h = start(4);
	char url[256];

	url_of(url, s, "/");
	for (int i = 0; i < 3; i++) {
		struct exchange x = get(url);
		x.method = "PUT";
		x.body = "hello";
		x.length = 5;
		assert_int_equal(http_run(h, &x), 0);
		assert_int_equal(x.status, 200);
		assert_string_equal(buf_string(&x.body_out), "hello");
		exchange_destroy(&x);
	}
	assert_int_equal(s->connections, 2);
	stop(&h);
	server_stop(s);
}

static void test_nobody(void **state)
{
	(void)state;
	struct server *s = server_start(answer_fine, NULL);
	struct http *h = start(4);
	char url[256];

	url_of(url, s, "/");
	server_stop(s);
	struct exchange x = get(url);
	assert_int_equal(http_run(h, &x), -EHOSTDOWN);
	assert_int_equal(x.status, 0);
	assert_false(x.transport_final);
	exchange_destroy(&x);
	x = get("http://[127.0.0.1/");
	assert_int_equal(http_run(h, &x), -EHOSTDOWN);
	assert_true(x.transport_final);
	exchange_destroy(&x);
	stop(&h);
}

/* -- many at once, and the end -- */

struct caller {
	struct http *h;
	const char *url;
	int rounds, result;
	pthread_t thread;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	for (int i = 0; i < c->rounds; i++) {
		struct exchange x = get(c->url);

		x.deadline_ms = clock_ms() + 60000;
		x.idle_timeout_ms = 60000;
		c->result = http_run(c->h, &x);
		if (c->result == 0 && (x.status != 200 || strcmp(buf_string(&x.body_out), "hello") != 0))
			c->result = -EBADMSG;
		exchange_destroy(&x);
		if (c->result)
			break;
	}
	return NULL;
}

static void call_all(struct caller *callers, int count, struct http *h, const char *url, int rounds)
{
	for (int i = 0; i < count; i++) {
		callers[i] = (struct caller){.h = h, .url = url, .rounds = rounds, .result = 1};
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
}

static void join_all(struct caller *callers, int count, int result)
{
	for (int i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].result, result);
	}
}

static void test_parallel(void **state)
{
	(void)state;
	struct server *s = server_start(answer_fine, NULL);
	struct http *h = start(4);
	struct caller callers[32];
	char url[256];

	url_of(url, s, "/");
	call_all(callers, 32, h, url, 25);
	join_all(callers, 32, 0);
	assert_int_equal(s->requests, 32 * 25);
	assert_true(s->connections <= 4);
	assert_int_equal(http_connections(h), s->connections);
	stop(&h);
	server_stop(s);
}

/* Two are on the wire, ten wait: all end at once, and later ones do not begin. */
static void test_stop(void **state)
{
	(void)state;
	struct server *s = server_start(answer_half, NULL);
	struct http *h = start(2);
	struct caller callers[12];
	char url[256];

	url_of(url, s, "/");
	call_all(callers, 12, h, url, 1);
	while (s->requests < 2)
		server_sleep_ms(5);
	int64_t before = clock_ms();
	http_stop(h);
	join_all(callers, 12, -ECANCELED);
	assert_true(clock_ms() - before < 2000);
	assert_int_equal(s->requests, 2);
	struct exchange x = get(url);
	assert_int_equal(http_run(h, &x), -ECANCELED);
	exchange_destroy(&x);
	stop(&h);
	assert_null(h);
	server_stop(s);
}

/* One that waits for its turn ends at its deadline all the same. */
static void test_deadline_while_waiting(void **state)
{
	(void)state;
	struct server *s = server_start(answer_never, NULL);
	struct http *h = start(1);
	struct caller caller;
	char url[256];

	url_of(url, s, "/");
	call_all(&caller, 1, h, url, 1);
	while (s->requests < 1)
		server_sleep_ms(5);
	int64_t before = clock_ms();
	struct exchange x = get(url);
	x.deadline_ms = before + 200;
	assert_int_equal(http_run(h, &x), -ETIMEDOUT);
	assert_true(clock_ms() - before < SOON_MS);
	assert_int_equal(x.status, 0);
	exchange_destroy(&x);
	assert_int_equal(s->requests, 1);
	http_stop(h);
	join_all(&caller, 1, -ECANCELED);
	stop(&h);
	server_stop(s);
}

static void test_not_started(void **state)
{
	(void)state;
	struct http *h;

	assert_int_equal(http_open(0, NULL, &h), 0);
	struct exchange x = get("http://127.0.0.1:1/");
	assert_int_equal(http_run(h, &x), -ECANCELED);
	exchange_destroy(&x);
	stop(&h);
	http_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fine),
		cmocka_unit_test(test_odd_answers),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_deadline_moved),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_body_limits),
		cmocka_unit_test(test_receiver_ends_it),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_early_refusal),
		cmocka_unit_test(test_dead_connection),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_deadline_while_waiting),
		cmocka_unit_test(test_not_started),
	};
	/* The server is here; a proxy of the machine's would not find it. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
