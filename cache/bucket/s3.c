/* The S3 client: what it is made of, and how it is configured.
 *
 *     bucket_config   what the user set, which wins
 *     struct place    what the env file or the profile says, which fills the gaps
 *     defaults        Amazon's endpoint, us-east-1, path style where there is an endpoint
 *
 * The identity is host, bucket and prefix. Amazon's buckets are one namespace for all regions, so
 * there the host is left out: a region that is found out or configured later does not make it
 * another bucket.
 *
 * A reload reads the same files again and replaces what may change while requests are under way: the
 * key, and the headers that objects are sent with. A request has taken its reference to the headers,
 * and keeps those. Where the bucket is cannot change: the cache belongs to that bucket. */
#include "s3_internal.h"
#include <errno.h>
#include <string.h>
#include "cache/base/log.h"

enum { IO_TIMEOUT_MS = 30000 };

static bool given(const char *text)
{
	return text && *text;
}

static const char *first_of(const char *option, const char *found)
{
	return given(option) ? option : given(found) ? found : NULL;
}

static int s3_start(void *self)
{
	struct s3 *s = self;
	int r = http_start(s->http);

	return r ? fault_set(r, false, "the network thread cannot be started: %s", strerror(-r))
		 : 0;
}

static void s3_stop(void *self)
{
	struct s3 *s = self;

	credentials_stop(s->credentials);
	http_stop(s->http);
}

static void s3_close(void *self)
{
	struct s3 *s = self;

	http_close(&s->http);
	if (s->credentials)
		credentials_close(&s->credentials);
	headers_close(&s->locked.headers);
	etags_destroy(&s->etags);
	lock_destroy(&s->lock);
	explicit_bzero(&s->locked.key, sizeof(s->locked.key));
	free(s);
}

static int s3_reload(void *self);

static const struct bucket_ops ops = {
    .start = s3_start,
    .stop = s3_stop,
    .close = s3_close,
    .probe = s3_probe,
    .get = s3_get,
    .head = s3_head,
    .part_bytes = s3_part_bytes,
    .list = s3_list,
    .put = s3_put,
    .copy = s3_copy,
    .remove = s3_remove,
    .upload_create = s3_upload_create,
    .upload_part = s3_upload_part,
    .upload_complete = s3_upload_complete,
    .upload_abort = s3_upload_abort,
    .upload_list = s3_upload_list,
    .uploads_page = s3_uploads_page,
    .reload = s3_reload,
};

static int parse_place(struct s3 *s, const struct bucket_config *config, const struct place *found)
{
	const struct s3_place_request request = {
	    .spec = config->spec,
	    .endpoint = first_of(config->endpoint, found->endpoint),
	    .region = first_of(config->region, found->region),
	    .bucket = found->bucket,
	    .prefix = found->prefix,
	    .path_style = config->path_style >= 0 ? config->path_style : found->path_style,
	};
	int r = s3_place_parse(&request, &s->place);

	memcpy(s->locked.region, s->place.region, sizeof(s->locked.region));
	memcpy(s->locked.host, s->place.host, sizeof(s->locked.host));
	return r;
}

static int open_headers(const struct bucket_config *config, const struct place *found,
			struct headers **out)
{
	struct bucket_config merged = *config;

	merged.acl = first_of(config->acl, found->acl);
	merged.storage_class = first_of(config->storage_class, found->storage_class);
	return headers_open(&merged, out);
}

static int open_parts(struct s3 *s, const struct bucket_config *config)
{
	int r = http_open(config->connections_max, config->user_agent, &s->http);

	if (r)
		return fault_set(r, false, "the network cannot be used: %s", strerror(-r));
	r = credentials_open(config, &s->credentials, &s->found);
	if (r == 0)
		r = parse_place(s, config, &s->found);
	if (r == 0)
		r = open_headers(config, &s->found, &s->locked.headers);
	return r;
}

static bool same_place(const struct place *a, const struct place *b)
{
	return strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->region, b->region) == 0 &&
	       strcmp(a->bucket, b->bucket) == 0 && strcmp(a->prefix, b->prefix) == 0 &&
	       a->path_style == b->path_style;
}

static int s3_reload(void *self)
{
	struct s3 *s = self;
	struct headers *headers = NULL, *old;
	struct place found;
	int r = credentials_reload(s->credentials, &found);

	if (r) /* the credentials say so, too; the headers must not lose what was found before */
		found = s->found;
	else if (!same_place(&found, &s->found))
		log_warn("reload: the credentials come with another endpoint, region, bucket, "
			 "prefix or path style than at the start; for that, unmount and mount again");
	r = open_headers(&s->config, &found, &headers);
	if (r) {
		log_error("reload: the content types and rules stay as they were why=%s",
			  fault_of_thread()->why);
		return r;
	}
	lock_take(&s->lock);
	old = s->locked.headers;
	s->locked.headers = headers;
	lock_drop(&s->lock);
	headers_close(&old);
	log_info("reload: content types and rules were read again");
	return 0;
}

static char *identity(const struct s3_place *place)
{
	struct buf text = BUF_EMPTY;

	buf_printf(&text, "s3://%s/%s/%s", place->aws ? "amazonaws.com" : place->host,
		   place->bucket, place->prefix);
	return buf_steal(&text);
}

int s3_bucket_open(const struct bucket_config *config, struct bucket_impl *out)
{
	struct s3 *s = calloc(1, sizeof(*s));
	int r;

	memset(out, 0, sizeof(*out));
	if (!s)
		return fault_set(-ENOMEM, false, "no memory for the bucket");
	lock_init(&s->lock);
	s->config = *config;
	s->checksum_sha256 = config->checksum_sha256;
	s->verify = config->verify;
	etags_init(&s->etags, s->verify);
	s->attrs_object = config->attrs_object;
	s->io_timeout_ms = config->io_timeout_ms > 0 ? config->io_timeout_ms : IO_TIMEOUT_MS;
	s->copy_bytes_max = S3_COPY_BYTES_MAX;
	s->copy_part_bytes = S3_COPY_PART_BYTES;
	r = open_parts(s, config);
	if (r == 0) {
		out->identity = identity(&s->place);
		if (!out->identity)
			r = fault_set(-ENOMEM, false, "no memory for the bucket");
	}
	if (r) {
		s3_close(s);
		return r;
	}
	out->ops = &ops;
	out->self = s;
	out->etags = &s->etags;
	out->key_bytes_max = KEY_BYTES_MAX - strlen(s->place.prefix);
	return 0;
}
