/* A set of numbers, a bit each: for blob numbers, which are dense. One owner, one thread; for cache/ .c files only. */
#ifndef TOOTFS_NUMBERS_H
#define TOOTFS_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/err.h"

struct numbers {
	uint64_t *bits;
	uint64_t count; /* of numbers that there is room for */
};

/* Larger ones are damage, and would take too much memory: -ERANGE. */
#define NUMBERS_MAX (UINT64_C(1) << 34)

int numbers_add(struct numbers *n, uint64_t number) MUST_CHECK;
bool numbers_has(const struct numbers *n, uint64_t number);
void numbers_destroy(struct numbers *n);

#endif
