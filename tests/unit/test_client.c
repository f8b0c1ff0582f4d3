/* The client's HTTP, and figures as people read them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/base/key.h"
#include "tools/client/client.h"
#include "tools/client/connection.h"
#include "tools/client/http.h"
#include "tools/client/progress.h"

static void test_request(void **state)
{
	AUTO_BUF struct buf out = BUF_EMPTY;

	(void)state;
	http_request(&out, "GET", "/status", NULL);
	assert_string_equal(buf_string(&out), "GET /status HTTP/1.0\r\nHost: tootfs\r\n\r\n");
	buf_clear(&out);
	http_request(&out, "POST", "/sync", "{}");
	assert_string_equal(buf_string(&out), "POST /sync HTTP/1.0\r\nHost: tootfs\r\nContent-Type: application/json\r\n"
					      "Content-Length: 2\r\n\r\n{}");
}

static void test_heads(void **state)
{
	static const struct {
		const char *text;
		int r;
		unsigned status;
		int64_t body_bytes;
	} rows[] = {
	    {"HTTP/1.1 200 OK\r\n\r\n", 0, 200, -1},
	    {"HTTP/1.0 503\r\nContent-Length: 12\r\n\r\nbody", 0, 503, 12},
	    {"HTTP/1.0 200 OK\nA: b\ncontent-LENGTH:7\n\n", 0, 200, 7},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n", 0, 200, 7},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 200 OK\r\nContent-Length: \r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 1x\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/2 200\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 099 OK\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 2000\r\n\r\n", -EPROTO, 0, 0},
	    {"HTTP/1.0 20\r\n\r\n", -EPROTO, 0, 0},
	    {"hello\r\n\r\n", -EPROTO, 0, 0},
	    {"", -EAGAIN, 0, 0},
	    {"HTTP/1.0 200 OK", -EAGAIN, 0, 0},
	    {"HTTP/1.0 200 OK\r\n", -EAGAIN, 0, 0},
	    {"HTTP/1.0 200 OK\r\nA: b\r\n", -EAGAIN, 0, 0},
	};
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r = http_head(rows[i].text, strlen(rows[i].text), &head);
		if (r != rows[i].r || (!r && (head.status != rows[i].status || head.body_bytes != rows[i].body_bytes)))
			fail_msg("row %zu: %d, %u, %lld", i, r, head.status, (long long)head.body_bytes);
	}
	assert_int_equal(http_head(rows[1].text, strlen(rows[1].text), &head), 0);
	assert_string_equal(rows[1].text + head.bytes, "body");
}

static void test_head_too_long(void **state)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	struct http_head head;

	(void)state;
	buf_text(&text, "HTTP/1.0 200 OK\r\n");
	while (text.length < HTTP_HEAD_MAX)
		buf_text(&text, "A: b\r\n");
	assert_int_equal(http_head(text.data, text.length, &head), -EPROTO);
	buf_text(&text, "\r\n");
	assert_int_equal(http_head(text.data, text.length, &head), -EPROTO);
}

static void test_keys(void **state)
{
	AUTO_BUF struct buf target = BUF_EMPTY;
	json_t *key = client_key("a b/\xff%");

	(void)state;
	assert_string_equal(json_string_value(key), "a%20b/%FF%25");
	json_decref(key);
	client_target(&target, "/file", "a+b&c");
	assert_string_equal(buf_string(&target), "/file?key=a%2Bb%26c");
}

static void test_texts(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {10 * 1024, "10 KiB"},
		     {1048575, "1.0 MiB"}, {1536 << 10, "1.5 MiB"}, {UINT64_MAX, "16 EiB"}};
	static const struct {
		double seconds;
		const char *text;
	} times[] = {{-5, "0 s"}, {0.9, "0 s"}, {119, "119 s"}, {125, "2 min 5 s"}, {7500, "2 h 5 min"},
		     {200000, "2 days 7 h"}};
	AUTO_BUF struct buf out = BUF_EMPTY;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		buf_clear(&out);
		text_bytes(&out, sizes[i].bytes);
		assert_string_equal(buf_string(&out), sizes[i].text);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		buf_clear(&out);
		text_duration(&out, times[i].seconds);
		assert_string_equal(buf_string(&out), times[i].text);
	}
	buf_clear(&out);
	text_count(&out, 1, "file", "files");
	text_count(&out, 2, "file", "files");
	assert_string_equal(buf_string(&out), "1 file2 files");
}

static void test_find_nothing(void **state)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct client_place place;

	(void)state;
	assert_int_equal(client_find("/proc", &place, &why), -ENOENT);
	assert_non_null(strstr(buf_string(&why), "not in a mounted tootfs"));
	client_place_destroy(&place);
	buf_clear(&why);
	assert_int_equal(client_find("/nonexistent/a", &place, &why), -ENOENT);
	assert_true(why.length > 0);
	client_place_destroy(&place);
}

static void test_of_cache(void **state)
{
	AUTO_BUF struct buf why = BUF_EMPTY, out = BUF_EMPTY;
	const struct client_request request = {"GET", "/status", NULL};
	struct client_place place;

	(void)state;
	assert_int_equal(client_of_cache("/nonexistent", &place, &why), 0);
	assert_string_equal(place.socket, "/nonexistent/control");
	assert_string_equal(place.key, "");
	assert_int_equal(place.uid, -1);
	assert_int_equal(client_call(&place, &request, &out, &why), -ENOENT);
	assert_non_null(strstr(buf_string(&why), "no daemon"));
	client_place_destroy(&place);
	assert_int_equal(client_of_cache("/", &place, &why), 0);
	assert_int_equal(place.uid, 0);
	client_place_destroy(&place);
}

/* A mount of somebody's that names another's socket, root's too: what is asked about the one would be done to the other. */
static void test_socket_of_another(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct client_place place = {.socket = name.sun_path};
	int fd, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/tootfs-test-client-%ld", (long)getpid());
	unlink(name.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 4), 0);
	place.uid = (int64_t)geteuid() + 4000;
	assert_int_equal(connection_open(&place, &fd, &why), -EPERM);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(buf_string(&why), "did not make this mount"));
	place.uid = geteuid();
	assert_int_equal(connection_open(&place, &fd, &why), 0);
	close(fd);
	place.uid = -1;
	assert_int_equal(connection_open(&place, &fd, &why), 0);
	close(fd);
	close(listener);
	unlink(name.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request), cmocka_unit_test(test_heads), cmocka_unit_test(test_head_too_long),
	    cmocka_unit_test(test_keys),    cmocka_unit_test(test_texts), cmocka_unit_test(test_find_nothing),
	    cmocka_unit_test(test_of_cache), cmocka_unit_test(test_socket_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
