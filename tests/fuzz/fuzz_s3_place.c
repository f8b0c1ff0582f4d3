/* Any texts as spec, endpoint and region, separated by newlines: an address that is accepted can be put into a URL and a
 * header as it is. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/bucket.h"
#include "cache/bucket/s3_place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct s3_place *place)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
	struct s3_address address;
	char region[S3_REGION_BYTES];
	size_t prefix = strlen(place->prefix);

	s3_place_address(place, place->host, &address);
	assert(address.host[0] && strspn(address.host, fine) == strlen(address.host));
	assert(place->path_style ? address.root[0] == '/' : !address.root[0]);
	assert(!strchr(place->bucket, '/') && strlen(place->bucket) >= 3);
	assert(s3_place_is_region(place->region));
	assert(prefix == 0 || (place->prefix[prefix - 1] == '/' && prefix < KEY_BYTES_MAX));
	assert(prefix == 0 || key_check_prefix(place->prefix, prefix) == KEY_GOOD);
	if (s3_place_region_of(place->host, region))
		assert(s3_place_is_region(region));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *texts[3] = {"", "", ""};
	char *copy = malloc(size + 1);
	struct s3_place place;

	assert(copy);
	memcpy(copy, data, size);
	copy[size] = '\0';
	char *p = copy;
	for (int i = 0; i < 3 && p; i++) {
		texts[i] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	for (int style = -1; style <= 1; style++) {
		const struct s3_place_request q = {.spec = texts[0], .endpoint = texts[1], .region = texts[2],
						   .path_style = style};
		int r = s3_place_parse(&q, &place);

		assert(r == 0 || r == -EINVAL);
		if (r == 0)
			check(&place);
		else
			assert(bucket_why()[0]);
	}
	free(copy);
	return 0;
}
