/* A key that is good splits into names that are good, comes back from its encoding, and nothing else does. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int all_names_good(const char *key, size_t length)
{
	for (const char *end = key + length;; key++) {
		const char *slash = memchr(key, '/', (size_t)(end - key));
		size_t name = (size_t)((slash ? slash : end) - key);
		if (name_check(key, name))
			return 0;
		if (!slash)
			return 1;
		key = slash;
	}
}

static void check_encoding(const char *key, size_t length)
{
	char *text = malloc(3 * length + 1);

	assert(text);
	for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
		size_t encoded = key_percent(text, key, length, keep_slash);
		assert(encoded == strlen(text) && encoded <= 3 * length);
		assert(key_unpercent(text) == (long)length);
		assert(length == 0 || memcmp(text, key, length) == 0);
	}
	free(text);
}

static void check_decoding(const char *bytes, size_t length)
{
	char *text = malloc(length + 1);

	assert(text);
	if (length)
		memcpy(text, bytes, length);
	text[length] = '\0';
	size_t before = strlen(text);
	long after = key_unpercent(text);
	assert(after == -EINVAL || (after >= 0 && (size_t)after <= before && text[after] == '\0'));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *key = (const char *)data;
	enum key_verdict verdict = key_check(key, size), as_prefix = key_check_prefix(key, size);

	assert(key_verdict_text(verdict) && key_verdict_text(as_prefix));
	assert((verdict == KEY_GOOD) == (size <= KEY_BYTES_MAX && all_names_good(key, size)));
	assert((verdict == KEY_MARKER) == (as_prefix == KEY_GOOD));
	assert((verdict == KEY_GOOD) == (as_prefix == KEY_NO_SLASH));
	check_encoding(key, size);
	check_decoding(key, size);
	return 0;
}
