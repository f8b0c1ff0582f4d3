/* What failed last, by key, in words: for who asks about a file. A bounded memory of the last FAILURES_MAX keys; what is
 * forgotten stands in the log. Thread-safe; its lock is a leaf. */
#ifndef TOOTFS_FAILURES_H
#define TOOTFS_FAILURES_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/err.h"
#include "cache/base/key.h"

enum { FAILURES_MAX = 128, FAILURE_WHY_BYTES = 256 };

struct failures;
struct failure {
	int error;     /* -errno */
	int64_t at_ns; /* wall clock */
	char why[FAILURE_WHY_BYTES];
};

int failures_open(struct failures **out) MUST_CHECK;
void failures_close(struct failures **failures);
/* f may be NULL: nothing is kept. */
void failures_note(struct failures *f, const char *key, int error, const char *why);
/* It went well now. */
void failures_forget(struct failures *f, const char *key);
bool failures_find(struct failures *f, const char *key, struct failure *out);

#endif
