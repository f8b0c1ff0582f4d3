/* What decode takes is well-formed and has exactly one encoding: the bytes that came in. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/blob/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ranges r, part;
	uint8_t *again = malloc(size + 1);

	assert(again);
	ranges_init(&r);
	ranges_init(&part);
	if (ranges_decode(&r, data, size) == 0) {
		for (size_t i = 0; i < r.count; i++) {
			assert(r.items[i].start < r.items[i].end);
			assert(i == 0 || r.items[i - 1].end < r.items[i].start);
		}
		assert(ranges_encode(&r, again, size) == size);
		assert(size == 0 || memcmp(again, data, size) == 0);

		size_t used = ranges_encode(&r, again, size / 2);
		assert(used <= size / 2);
		assert(ranges_decode(&part, again, used) == 0 && part.count <= r.count);
		for (size_t i = 0; i < part.count; i++)
			assert(ranges_cover(&r, part.items[i].start, part.items[i].end));
	} else {
		assert(r.count == 0);
	}
	ranges_destroy(&r);
	ranges_destroy(&part);
	free(again);
	return 0;
}
