#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cache/base/hex.h"

static void test_all_bytes(void **state)
{
	(void)state;
	uint8_t bytes[256], again[256];
	char text[513];

	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	hex_encode(text, bytes, sizeof(bytes));
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102", 6);
	assert_string_equal(text + 506, "fdfeff");
	assert_int_equal(hex_decode(again, text, sizeof(again)), 0);
	assert_memory_equal(again, bytes, sizeof(bytes));
	hex_encode(text, bytes, 0);
	assert_string_equal(text, "");
}

static void test_decode(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int expected;
	} cases[] = {
		{"00ff", 0},         {"AbCd", 0},         {"00f", -EINVAL},  {"00fff", -EINVAL}, {"", -EINVAL},
		{"00ff00", -EINVAL}, {"0x1f", -EINVAL},   {" 0ff", -EINVAL}, {"+0ff", -EINVAL},  {"00fg", -EINVAL},
		{"00f/", -EINVAL},   {"00f:", -EINVAL},   {"00f@", -EINVAL}, {"00f`", -EINVAL},  {"00f\xff", -EINVAL},
	};
	uint8_t out[2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(hex_decode(out, cases[i].text, 2), cases[i].expected);
	assert_int_equal(hex_decode(out, "", 0), 0);
	assert_int_equal(hex_decode(out, "a", 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_bytes),
		cmocka_unit_test(test_decode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
