/* The texts in which others keep credentials: no byte outside the text is touched, and what is
 * found lies in it. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/settings.h"

struct text {
	char *bytes;
	size_t length;
};

static void lies_in(const struct text *t, const char *part)
{
	assert(part >= t->bytes && part + strlen(part) <= t->bytes + t->length);
}

static int visit(void *arg, const char *section, const char *name, const char *value)
{
	const struct text *t = arg;

	if (section[0])
		lies_in(t, section);
	lies_in(t, name);
	lies_in(t, value);
	assert(name[0] && !strpbrk(name, "= \t\n"));
	return 0;
}

/* A copy of its own exact size, so that the sanitizer sees every step beyond it. */
static struct text text_of(const uint8_t *data, size_t size)
{
	struct text t = {malloc(size + 1), 0};

	assert(t.bytes);
	memcpy(t.bytes, data, size);
	t.bytes[size] = '\0';
	t.length = strlen(t.bytes);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings_pair pair;
	struct text t = text_of(data, size);

	assert(settings_env(t.bytes, visit, &t) == 0);
	free(t.bytes);
	t = text_of(data, size);
	(void)settings_is_ini(t.bytes);
	assert(settings_ini(t.bytes, visit, &t) == 0);
	free(t.bytes);
	t = text_of(data, size);
	settings_passwd(t.bytes, "bucket", &pair);
	assert((pair.lines > 0) == (pair.access_key != NULL));
	if (pair.access_key) {
		lies_in(&t, pair.access_key);
		lies_in(&t, pair.secret);
		assert(!strchr(pair.secret, ':'));
	}
	free(t.bytes);
	return 0;
}
