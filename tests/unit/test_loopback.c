/* Only addresses of this computer's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>
#include "cache/base/loopback.h"

static void test_good(void **state)
{
	static const char *const good[] = {"127.0.0.1:9123", "127.255.0.3:1", "localhost:65535"};
	struct sockaddr_storage address;
	socklen_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		const struct sockaddr_in *v4 = (const void *)&address;
		assert_int_equal(loopback_parse(good[i], &address, &length), 0);
		assert_int_equal(length, sizeof(*v4));
		assert_int_equal(v4->sin_family, AF_INET);
		assert_int_equal(ntohl(v4->sin_addr.s_addr) >> 24, 127);
	}
	assert_int_equal(loopback_parse("[::1]:80", &address, &length), 0);
	const struct sockaddr_in6 *v6 = (const void *)&address;
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6->sin6_port), 80);
	assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
}

static void test_bad(void **state)
{
	static const char *const bad[] = {"",
					  ":",
					  "9123",
					  ":9123",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "127.0.0.1:0",
					  "127.0.0.1:65536",
					  "127.0.0.1:99999999999",
					  "127.0.0.1:+80",
					  "127.0.0.1: 80",
					  "127.1:80",
					  "0.0.0.0:80",
					  "*:80",
					  "128.0.0.1:80",
					  "10.0.0.1:80",
					  "[::]:80",
					  "[::ffff:127.0.0.1]:80",
					  "::1:80",
					  "localhost.example:80",
					  "127.0.0.1.example.very.long.name.indeed:80"};
	struct sockaddr_storage address;
	socklen_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (loopback_parse(bad[i], &address, &length) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
