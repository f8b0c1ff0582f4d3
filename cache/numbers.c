/* One array of bits that grows by halves; nothing is ever taken out. */
#include "numbers.h"

#include <errno.h>
#include <string.h>

enum { STEP = 1 << 16 };

int numbers_add(struct numbers *n, uint64_t number)
{
	if (number >= NUMBERS_MAX)
		return -ERANGE;
	if (number >= n->count) {
		uint64_t count = (number + number / 2 + STEP) / 64 * 64;
		uint64_t *more = realloc(n->bits, count / 8);
		if (!more)
			return -ENOMEM;
		memset(more + n->count / 64, 0, (count - n->count) / 8);
		n->bits = more;
		n->count = count;
	}
	n->bits[number / 64] |= UINT64_C(1) << number % 64;
	return 0;
}

bool numbers_has(const struct numbers *n, uint64_t number)
{
	return number < n->count && (n->bits[number / 64] >> number % 64 & 1);
}

void numbers_destroy(struct numbers *n)
{
	free(n->bits);
	*n = (struct numbers){NULL, 0};
}
