/* Where a bucket is.
 *
 *     spec       s3://NAME[/PREFIX]     NAME may come from the env file: s3://
 *     endpoint   [https://]HOST[:PORT]  not given: https://s3.REGION.amazonaws.com
 *
 * An endpoint with a path or with the bucket's name in it is what people copy from their
 * provider's page; it would make every key wrong by one component, so it is refused in words
 * instead. That a name in front is the bucket can only be told where what follows is known to be
 * an S3 host ("media.s3.example.org"), since a bucket "media" at "media.example.org" is fine.
 *
 *     style         address
 *     path          HOST/BUCKET/KEY     an endpoint was given, or the bucket cannot be a host name
 *     virtual host  BUCKET.HOST/KEY     Amazon, where buckets with a dot do not fit the certificate */
#include "s3_place.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "ops.h"

enum { BUCKET_BYTES_MIN = 3, BUCKET_BYTES_MAX_AWS = 63 };

static bool given(const char *text)
{
	return text && *text;
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_aws_host(const char *host)
{
	return ends_with(host, ".amazonaws.com") || ends_with(host, ".amazonaws.com.cn");
}

bool s3_place_is_region(const char *region)
{
	size_t n = 0;

	for (; region[n]; n++)
		if (!is_lower_or_digit(region[n]) && region[n] != '-')
			return false;
	return n > 0 && n < S3_REGION_BYTES;
}

void s3_place_aws_host(char out[S3_HOST_BYTES], const char *region)
{
	snprintf(out, S3_HOST_BYTES, "s3.%s.amazonaws.com%s", region,
		 strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

bool s3_place_region_of(const char *host, char out[S3_REGION_BYTES])
{
	const char *p = strncmp(host, "s3", 2) == 0 ? host : strstr(host, ".s3");
	size_t length;

	if (!p || !is_aws_host(host))
		return false;
	p += *p == '.' ? 3 : 2;
	if (strncmp(p, ".dualstack.", 11) == 0)
		p += 10;
	if (*p != '.' && *p != '-')
		return false;
	p++;
	length = strcspn(p, ".");
	if (length >= S3_REGION_BYTES || strncmp(p, "amazonaws.", 10) == 0)
		return false;
	memcpy(out, p, length);
	out[length] = '\0';
	return s3_place_is_region(out);
}

/* -- s3://NAME/PREFIX -- */

static int check_bucket(const char *name, bool aws)
{
	size_t length = strlen(name);

	if (length < BUCKET_BYTES_MIN || (aws && length > BUCKET_BYTES_MAX_AWS) ||
	    !is_alnum(name[0]))
		return fault_set(-EINVAL, false,
				 "\"%s\" cannot be the name of a bucket: 3 to 63 characters, "
				 "the first a letter or digit",
				 name);
	for (const char *p = name; *p; p++)
		if (!is_alnum(*p) && !is_one_of(*p, "._-"))
			return fault_set(
			    -EINVAL, false,
			    "\"%s\" cannot be the name of a bucket: only letters, digits, "
			    "'-', '.' and '_'",
			    name);
	for (const char *p = name; aws && *p; p++)
		if (!is_lower_or_digit(*p) && !is_one_of(*p, ".-"))
			return fault_set(-EINVAL, false,
					 "\"%s\" cannot be the name of a bucket of Amazon S3: only "
					 "lower-case letters, digits, '-' and '.'",
					 name);
	return 0;
}

static int set_prefix(const char *text, struct s3_place *out)
{
	size_t length;

	while (*text == '/')
		text++;
	length = strlen(text);
	while (length && text[length - 1] == '/')
		length--;
	if (length == 0)
		return 0;
	enum key_verdict verdict = key_check(text, length);
	if (verdict != KEY_GOOD || length > KEY_BYTES_MAX - 2)
		return fault_set(-EINVAL, false, "the prefix \"%s\" cannot be used: %s", text,
				 verdict == KEY_GOOD ? "too long" : key_verdict_text(verdict));
	memcpy(out->prefix, text, length);
	memcpy(out->prefix + length, "/", 2);
	return 0;
}

static int parse_spec(const struct s3_place_request *q, struct s3_place *out)
{
	const char *name = q->spec, *slash;
	size_t length;

	if (strncmp(name, "s3://", 5) != 0)
		return fault_set(-EINVAL, false, "\"%s\" is not of the form s3://NAME[/PREFIX]",
				 name);
	name += 5;
	slash = strchr(name, '/');
	length = slash ? (size_t)(slash - name) : strlen(name);
	if (length == 0 && given(q->bucket)) {
		name = q->bucket;
		length = strlen(name);
	}
	if (length == 0)
		return fault_set(-EINVAL, false, "no bucket is named: write s3://NAME[/PREFIX]");
	if (length >= sizeof(out->bucket))
		return fault_set(-EINVAL, false, "the name of the bucket is too long");
	memcpy(out->bucket, name, length);
	out->bucket[length] = '\0';
	if (slash && slash[1])
		return set_prefix(slash, out);
	return given(q->prefix) ? set_prefix(q->prefix, out) : 0;
}

/* -- the endpoint -- */

/* HOST[:PORT] at text; lower case, the usual port left out. */
static int set_host(const char *endpoint, const char *text, size_t length, struct s3_place *out)
{
	const char *port = NULL;
	size_t host = length;

	for (size_t i = length; i-- > 0 && text[i] != ']';)
		if (text[i] == ':') {
			port = text + i + 1;
			host = i;
			break;
		}
	if (host == 0 || length >= sizeof(out->host))
		return fault_set(-EINVAL, false, "endpoint=%s names no host", endpoint);
	for (size_t i = 0; i < host; i++) {
		bool in_brackets = text[0] == '[' && text[host - 1] == ']';
		if (!is_alnum(text[i]) && !is_one_of(text[i], in_brackets ? "[]:." : ".-_"))
			return fault_set(-EINVAL, false, "endpoint=%s: \"%.*s\" is not a host name",
					 endpoint, (int)host, text);
		out->host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
	}
	out->host[host] = '\0';
	if (!port)
		return 0;
	unsigned number = 0;
	for (const char *p = port; p < text + length; p++)
		number = *p >= '0' && *p <= '9' && number < 65536
			     ? number * 10 + (unsigned)(*p - '0')
			     : 65536;
	if (number == 0 || number > 65535)
		return fault_set(-EINVAL, false,
				 "endpoint=%s: the port is not a number up to 65535", endpoint);
	if (number != (out->tls ? 443 : 80))
		snprintf(out->host + host, sizeof(out->host) - host, ":%u", number);
	return 0;
}

/* Is it known that buckets live at host, so that a name in front of it can only be a bucket? */
static bool is_s3_host(const char *host)
{
	static const char *const ends[] = {
	    ".amazonaws.com",
	    ".amazonaws.com.cn",
	    ".digitaloceanspaces.com",
	    ".r2.cloudflarestorage.com",
	    ".backblazeb2.com",
	    ".wasabisys.com",
	    ".your-objectstorage.com",
	    ".linodeobjects.com",
	    ".vultrobjects.com",
	    ".scw.cloud",
	    ".exo.io",
	};

	if (strncmp(host, "s3.", 3) == 0 || strncmp(host, "s3-", 3) == 0)
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(host, ends[i]))
			return true;
	return false;
}

static int check_bucket_in_host(const char *endpoint, const struct s3_place *place)
{
	size_t n = strlen(place->bucket);

	if (strncasecmp(place->host, place->bucket, n) != 0 || place->host[n] != '.' ||
	    !is_s3_host(place->host + n + 1))
		return 0;
	return fault_set(
	    -EINVAL, false,
	    "endpoint=%s includes the bucket: write endpoint=%s://%s and name the bucket "
	    "only in s3://%s",
	    endpoint, place->tls ? "https" : "http", place->host + n + 1, place->bucket);
}

static int parse_endpoint(const char *endpoint, struct s3_place *out)
{
	const char *text = strstr(endpoint, "://"), *end;

	out->tls = true;
	if (!text)
		text = endpoint;
	else if (strncasecmp(endpoint, "https://", 8) == 0)
		text += 3;
	else if (strncasecmp(endpoint, "http://", 7) == 0) {
		text += 3;
		out->tls = false;
	} else {
		return fault_set(-EINVAL, false,
				 "endpoint=%s: only https:// and http:// can be used", endpoint);
	}
	end = text + strcspn(text, "/?#");
	if (*end && strcmp(end, "/") != 0)
		return fault_set(
		    -EINVAL, false,
		    "endpoint=%s includes a path (\"%s\"): write only scheme, host and port; "
		    "the bucket belongs in s3://%s",
		    endpoint, end, out->bucket);
	if (memchr(text, '@', (size_t)(end - text)))
		return fault_set(-EINVAL, false,
				 "the endpoint includes a user name: credentials come from "
				 "a file or the environment");
	int r = set_host(endpoint, text, (size_t)(end - text), out);
	return r ? r : check_bucket_in_host(endpoint, out);
}

/* Amazon's certificate is for *.s3.REGION.amazonaws.com, and a host name has no capitals or
 * underscores. */
static bool fits_host(const struct s3_place *place)
{
	for (const char *p = place->bucket; *p; p++)
		if (!is_lower_or_digit(*p) && *p != '-' && (*p != '.' || place->tls))
			return false;
	return true;
}

int s3_place_parse(const struct s3_place_request *q, struct s3_place *out)
{
	bool has_endpoint = given(q->endpoint);
	int r;

	memset(out, 0, sizeof(*out));
	r = parse_spec(q, out);
	if (r == 0 && has_endpoint)
		r = parse_endpoint(q->endpoint, out);
	if (r)
		return r;
	out->aws = !has_endpoint || is_aws_host(out->host);
	if (given(q->region)) {
		if (!s3_place_is_region(q->region))
			return fault_set(-EINVAL, false,
					 "region=%s: a region has only lower-case letters, "
					 "digits and '-'",
					 q->region);
		memcpy(out->region, q->region, strlen(q->region) + 1);
	} else if (!has_endpoint || !s3_place_region_of(out->host, out->region)) {
		memcpy(out->region, "us-east-1", sizeof("us-east-1"));
	}
	if (!has_endpoint) {
		out->tls = true;
		s3_place_aws_host(out->host, out->region);
	}
	out->path_style = q->path_style < 0 ? has_endpoint : q->path_style != 0;
	if (out->aws && !fits_host(out))
		out->path_style = true;
	return check_bucket(out->bucket, out->aws);
}

void s3_place_address(const struct s3_place *place, const char *host, struct s3_address *out)
{
	out->root[0] = '\0';
	if (place->path_style) {
		snprintf(out->host, sizeof(out->host), "%s", host);
		snprintf(out->root, sizeof(out->root), "/%s", place->bucket);
	} else {
		snprintf(out->host, sizeof(out->host), "%s.%s", place->bucket, host);
	}
}
