/* Digits are looked up by hand: the C library's conversions depend on the locale and accept signs and blanks. */
#include "hex.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_encode(char *out, const void *bytes, size_t length)
{
	const uint8_t *in = bytes;

	for (size_t i = 0; i < length; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(void *out, const char *text, size_t length)
{
	uint8_t *to = out;

	if (strnlen(text, 2 * length + 1) != 2 * length)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
