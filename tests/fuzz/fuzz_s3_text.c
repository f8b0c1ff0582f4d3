/* Any text as a header's value: what is accepted means one thing, and can be written back. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/s3_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_times(const char *text)
{
	char written[S3_MTIME_BYTES];
	int64_t ns, again;

	assert(s3_text_iso_time(text) >= 0);
	assert(s3_text_http_time(text) >= 0);
	if (s3_text_mtime(text, &ns) == 0) {
		s3_text_mtime_write(written, ns);
		assert(s3_text_mtime(written, &again) == 0 && again == ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), etag[ETAG_BYTES], again[ETAG_BYTES], cut[16];
	struct s3_range range;
	uint64_t n;
	uint32_t mode;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_times(text);
	s3_text_etag(etag, text);
	assert(strlen(etag) < ETAG_BYTES && !strpbrk(etag, "\"\r\n "));
	s3_text_etag(again, etag);
	assert(strncmp(etag, "W/", 2) == 0 || strcmp(etag, again) == 0);
	s3_text_copy(cut, sizeof(cut), text);
	assert(strlen(cut) < sizeof(cut) && !strpbrk(cut, "\r\n\t\x1b"));
	if (s3_text_range(text, &range) == 0)
		assert(range.first <= range.last && range.last < range.size);
	if (s3_text_number(text, &n) == 0)
		assert(strspn(text, "0123456789") == strlen(text));
	if (s3_text_mode(text, &mode) == 0)
		assert(mode <= 0177777 && (mode & 0170000));
	long length = s3_text_decode(text);
	assert(length == -EINVAL || (length >= 0 && (size_t)length <= size));
	free(text);
	return 0;
}
