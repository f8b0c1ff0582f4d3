/* Where a bucket is: from what the user wrote to host, path and region. Pure. */
#ifndef TOOTFS_S3_PLACE_H
#define TOOTFS_S3_PLACE_H

#include <stdbool.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "cache/base/key.h"

enum { S3_HOST_BYTES = 300, S3_BUCKET_BYTES = 256, S3_REGION_BYTES = 64 };

/* NULL or "" = not given. */
struct s3_place_request {
	const char *spec, *endpoint, *region;
	const char *bucket, *prefix; /* where the spec names none */
	int path_style;              /* 1, 0, or -1 */
};

struct s3_place {
	bool tls, aws, path_style;   /* aws: an endpoint of Amazon's, which has one per region */
	char host[S3_HOST_BYTES];    /* lower case; with the port where it is not the usual one */
	char region[S3_REGION_BYTES];
	char bucket[S3_BUCKET_BYTES];
	char prefix[KEY_BYTES_MAX + 1]; /* "" or ending in '/' */
};

/* 0, or -EINVAL with the fault set. */
int s3_place_parse(const struct s3_place_request *request, struct s3_place *out) MUST_CHECK;
/* Amazon's endpoint of a region. */
void s3_place_aws_host(char out[S3_HOST_BYTES], const char *region);
bool s3_place_is_region(const char *region);
/* The region that a host of Amazon's names ("s3.eu-west-1.amazonaws.com"); false = none. */
bool s3_place_region_of(const char *host, char out[S3_REGION_BYTES]);
/* What goes into a URL and into a signature: "https://host", "host" and the path in front of "/KEY". */
struct s3_address {
	char host[S3_HOST_BYTES + S3_BUCKET_BYTES];
	char root[S3_BUCKET_BYTES + 1]; /* "" or "/BUCKET" */
};
void s3_place_address(const struct s3_place *place, const char *host, struct s3_address *out);

#endif
