/* Lines of name=value into the options: refusals have words, and what is taken keeps its limits. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cache_config c;
	struct buf why = BUF_EMPTY;
	char *text = malloc(size + 1), *rest = NULL;
	int r;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	config_init(&c);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		if (value)
			*value++ = '\0';
		buf_clear(&why);
		if (value && strstr(line, "://"))
			r = config_spec(&c, line);
		else
			r = config_set(&c, line, value, &why);
		assert(r == 0 || (r == -EINVAL && why.length > 0));
	}
	buf_clear(&why);
	r = config_finish(&c, &why);
	assert(r == 0 || (r == -EINVAL && why.length > 0));
	assert(c.uploads >= 1 && c.uploads <= 256 && c.file_mode <= 07777 && c.shared_s <= 86400);
	assert(c.part_size_bytes >= 5 << 20 && c.cache_size_bytes >= 64 << 20);
	assert(c.io_timeout_ms >= 100 && c.stop_timeout_ms >= 0);
	assert(r != 0 || c.cache[0] == '/');
	config_destroy(&c);
	buf_destroy(&why);
	free(text);
	return 0;
}
