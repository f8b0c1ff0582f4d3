/* Rules files and mime.types: whatever is taken makes whole headers, and refusals have words. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/ops.h"
#include "cache/bucket/rules.h"

static int rule(void *arg, const char *pattern, const char *const values[RULE_FIELDS])
{
	bool some = false;

	(void)arg;
	assert(pattern[0]);
	for (int f = 0; f < RULE_FIELDS; f++) {
		if (!values[f])
			continue;
		some = true;
		assert(values[f][0] && strlen(values[f]) <= 1024);
		for (const char *p = values[f]; *p; p++)
			assert(*p >= ' ' && *p <= '~');
	}
	assert(some);
	return 0;
}

static int type(void *arg, const char *extension, const char *name)
{
	(void)arg;
	assert(extension[0] && strchr(name, '/') && !strpbrk(name, " \t\r\n;"));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	int r;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	fault_clear();
	r = rules_parse(text, "rules", rule, NULL);
	assert(r == 0 || (r == -EINVAL && strstr(bucket_why(), "rules line ")));
	memcpy(text, data, size);
	text[size] = '\0';
	assert(mime_types_parse(text, type, NULL) == 0);
	free(text);
	return 0;
}
