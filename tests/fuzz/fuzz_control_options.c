/* control_options: whatever is taken has only keys that can be. */
#include <assert.h>
#include <string.h>
#include "cache/base/key.h"
#include "fs/control_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	json_t *options;
	int r = control_options((const char *)data, size, &options, &why);

	if (r) {
		assert(!options && why.length);
		return 0;
	}
	const json_t *keys = json_object_get(options, "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *key = json_string_value(json_array_get(keys, i));
		assert(!*key || key_check(key, strlen(key)) == KEY_GOOD);
	}
	json_decref(options);
	return 0;
}
