/* Any bytes as the answer of a service that hands out credentials, and as a time and a command. What is accepted can be
 * sent or run; what is refused leaves nothing behind, and none of it gets into the words. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/answers.h"
#include "cache/bucket/ops.h"
#include "cache/bucket/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct credentials *c)
{
	static const struct credentials none;

	assert(r == 0 || r == -EACCES || r == -ENOMEM);
	if (r) {
		assert(memcmp(c, &none, sizeof(none)) == 0);
		assert(strlen(bucket_why()) < 160);
		return;
	}
	assert(c->access_key[0] && c->secret[0] && c->expires_ns >= 0);
	assert(memchr(c->access_key, 0, sizeof(c->access_key)) && memchr(c->secret, 0, sizeof(c->secret)) &&
	       memchr(c->token, 0, sizeof(c->token)));
}

static void check_words(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *words[8];
	int n;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	assert(answers_time(text) >= 0);
	size = strlen(text);
	n = settings_words(text, words, 8);
	assert(n >= -1 && n <= 8);
	for (int i = 0; i < n; i++)
		assert(words[i] >= text && words[i] + strlen(words[i]) <= text + size);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char code[ANSWERS_CODE_BYTES];
	struct credentials c;

	fault_clear();
	check(answers_json(text, size, ANSWERS_SERVICE, "who", &c), &c);
	check(answers_json(text, size, ANSWERS_PROCESS, "who", &c), &c);
	check(answers_sts(text, size, "who", &c), &c);
	answers_json_code(text, size, code);
	assert(strlen(code) < sizeof(code) && !strpbrk(code, " \r\n\"<"));
	answers_sts_code(text, size, code);
	assert(strlen(code) < sizeof(code) && !strpbrk(code, " \r\n\"<"));
	check_words(data, size);
	return 0;
}
