/* http_head: it never reads past its input, what it takes is within it, and more bytes behind a head change nothing. */
#include <assert.h>
#include <errno.h>
#include "tools/client/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head, again;
	int r = http_head((const char *)data, size, &head);

	if (r) {
		assert(r == -EAGAIN || r == -EPROTO);
		return 0;
	}
	assert(head.bytes <= size && head.status >= 100 && head.status <= 999 && head.body_bytes >= -1);
	assert(http_head((const char *)data, head.bytes, &again) == 0 && again.bytes == head.bytes &&
	       again.status == head.status);
	return 0;
}
