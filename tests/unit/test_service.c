/* What the service manager is told, at a socket of ours in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "fs/service.h"

static int manager = -1;
static char address[108];

static int setup(void **state)
{
	static int count;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t length;

	(void)state;
	snprintf(address, sizeof(address), "@tootfs-test-service-%ld-%d", (long)getpid(), ++count);
	memcpy(name.sun_path + 1, address + 1, strlen(address + 1));
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address));
	manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	return bind(manager, (struct sockaddr *)&name, length);
}

static int teardown(void **state)
{
	(void)state;
	return close(manager);
}

/* The next message, "" where none comes in time. */
static const char *heard(int ms)
{
	static char text[4096];
	struct pollfd fd = {manager, POLLIN, 0};
	ssize_t n = 0;

	if (poll(&fd, 1, ms) > 0)
		n = recv(manager, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void open_with(struct service *s, const char *socket, const char *usec, const char *pid)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (socket)
		setenv("NOTIFY_SOCKET", socket, 1);
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	service_open(s);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
}

static void nobody_is_told(void **state)
{
	static const char *const addresses[] = {NULL, "", "relative", "@", "/"};
	const struct service_watch watch = {NULL, NULL, NULL};
	struct service s;
	char long_one[200];

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		open_with(&s, addresses[i], "1000000", NULL);
		assert_true(s.fd < 0 && s.watchdog_ms == 0);
		service_tell(&s, "READY=1");
		service_status(&s, "x");
		assert_int_equal(service_watch(&s, &watch), 0);
		service_close(&s);
	}
	memset(long_one, 'a', sizeof(long_one) - 1);
	long_one[0] = '/';
	long_one[sizeof(long_one) - 1] = '\0';
	open_with(&s, long_one, NULL, NULL);
	assert_int_equal(s.fd, -1);
	service_close(&s);
}

static void lines_arrive(void **state)
{
	struct service s;

	(void)state;
	open_with(&s, address, NULL, NULL);
	service_tell(&s, "READY=1\nMAINPID=%d", 7);
	assert_string_equal(heard(5000), "READY=1\nMAINPID=7");
	service_status(&s, "two\nREADY=1\tlines");
	assert_string_equal(heard(5000), "STATUS=two?READY=1?lines");
	service_close(&s);
}

static void a_path_is_an_address_too(void **state)
{
	char folder[] = "/tmp/tootfs-service-XXXXXX";
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct service s;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", folder);
	close(manager);
	manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&name, sizeof(name)), 0);
	open_with(&s, name.sun_path, NULL, NULL);
	service_tell(&s, "STOPPING=1");
	assert_string_equal(heard(5000), "STOPPING=1");
	service_close(&s);
	unlink(name.sun_path);
	rmdir(folder);
}

static void the_interval_is_ours_alone(void **state)
{
	char mine[32];
	struct service s;
	const struct {
		const char *usec, *pid;
		int64_t ms;
	} rows[] = {
	    {"3000000", NULL, 3000}, {"3000000", mine, 3000}, {"3000000", "1", 0},	{"0", NULL, 0},
	    {"-5", NULL, 0},	     {"10 s", NULL, 0},	      {"999", NULL, 0}, {NULL, NULL, 0},
	};

	(void)state;
	snprintf(mine, sizeof(mine), "%ld", (long)getpid());
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		open_with(&s, address, rows[i].usec, rows[i].pid);
		assert_int_equal(s.watchdog_ms, rows[i].ms);
		service_close(&s);
	}
}

static atomic_bool moves;

static bool alive(void *arg)
{
	(void)arg;
	return atomic_load(&moves);
}

static void status(void *arg, struct buf *out)
{
	buf_text(out, arg);
}

/* Until a message is (or is not) a sign of life for ms in a row. */
static bool hears_life(int ms)
{
	for (const char *text; *(text = heard(ms));)
		if (strcmp(text, "WATCHDOG=1") == 0)
			return true;
	return false;
}

static void signs_of_life_end_with_it(void **state)
{
	static char words[] = "all is well";
	const struct service_watch watch = {alive, status, words};
	struct service s;

	(void)state;
	atomic_store(&moves, true);
	open_with(&s, address, "60000", NULL); /* one each 20 ms */
	assert_int_equal(service_watch(&s, &watch), 0);
	for (int i = 0; i < 5; i++)
		assert_true(hears_life(5000));
	while (strcmp(heard(5000), "STATUS=all is well") != 0)
		;
	atomic_store(&moves, false);
	usleep(100000);
	while (recv(manager, (char[16]){0}, 15, MSG_DONTWAIT) > 0) /* what was on its way */
		;
	for (int i = 0; i < 10; i++)
		assert_string_equal(heard(5000), "STATUS=all is well");
	atomic_store(&moves, true);
	assert_true(hears_life(5000));
	service_unwatch(&s);
	while (*heard(0))
		;
	assert_string_equal(heard(100), "");
	service_close(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nobody_is_told),	    TEST(lines_arrive),
	    TEST(a_path_is_an_address_too), TEST(the_interval_is_ours_alone),
	    TEST(signs_of_life_end_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
