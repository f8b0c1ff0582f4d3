/* A name server that does not answer: getaddrinfo hangs, and only those who asked for that name wait, and not for long.
 * The program's own getaddrinfo takes the place of libc's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include "cache/base/clock.h"
#include "cache/bucket/http.h"
#include "http_server.h"

enum { HANG_MS = 3000, SOON_MS = 1500 };

static atomic_int hanging, asked;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (strcmp(node, "hanging.example") == 0) {
		atomic_fetch_add(&hanging, 1);
		atomic_fetch_add(&asked, 1);
		server_sleep_ms(HANG_MS);
		atomic_fetch_sub(&hanging, 1);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, out);
}

static struct exchange get(const char *url)
{
	return (struct exchange){.method = "GET", .url = url, .fd = -1, .connect_timeout_ms = 300,
				 .idle_timeout_ms = 5000, .body_max = 1000};
}

static bool answer(struct server *s, struct server_request *q)
{
	(void)s;
	server_reply(q, 200, "", "hello");
	return true;
}

struct call {
	struct http *h;
	int result;
	int64_t took_ms;
};

static void *call(void *arg)
{
	struct call *c = arg;
	struct exchange x = get("http://hanging.example/");
	int64_t before = clock_ms();

	c->result = http_run(c->h, &x);
	c->took_ms = clock_ms() - before;
	exchange_destroy(&x);
	return NULL;
}

static void wait_for(atomic_int *what, int value)
{
	for (int i = 0; i < 1000 && *what != value; i++)
		server_sleep_ms(10);
	assert_int_equal(*what, value);
}

static void test_hanging(void **state)
{
	(void)state;
	struct server *s = server_start(answer, NULL);
	struct call calls[3];
	pthread_t threads[3];
	struct http *h;
	char url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s->port);
	assert_int_equal(http_open(8, "test", &h), 0);
	assert_int_equal(http_start(h), 0);
	for (int i = 0; i < 3; i++) {
		calls[i] = (struct call){.h = h};
		assert_int_equal(pthread_create(&threads[i], NULL, call, &calls[i]), 0);
	}
	wait_for(&asked, 3);

	/* Others are served meanwhile, also right after the first have given up. */
	for (int i = 0; i < 60; i++) {
		struct exchange x = get(url);
		int64_t before = clock_ms();
		assert_int_equal(http_run(h, &x), 0);
		assert_true(clock_ms() - before < SOON_MS / 2);
		exchange_destroy(&x);
		server_sleep_ms(10);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(calls[i].result, -EHOSTDOWN);
		assert_true(calls[i].took_ms < SOON_MS);
	}
	assert_int_equal(hanging, 3);

	/* Nor does the end wait for it. */
	struct call last = {.h = h};
	assert_int_equal(pthread_create(&threads[0], NULL, call, &last), 0);
	wait_for(&asked, 4);
	int64_t before = clock_ms();
	http_stop(h);
	pthread_join(threads[0], NULL);
	assert_true(last.result == -ECANCELED || last.result == -EHOSTDOWN);
	http_close(&h);
	assert_true(clock_ms() - before < SOON_MS);
	server_stop(s);
	wait_for(&hanging, 0);
	server_sleep_ms(100); /* curl's detached threads free what is theirs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hanging)};

	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
