/* What an answer means: the S3 error code where there is one, else the status.
 *
 * Servers agree on codes more than on statuses, so the code decides and the status is what is left
 * for HEAD (no body), for proxies in between and for codes that nobody has heard of. The words
 * name the cause and the way out; the server's own words follow, since its administrator may
 * recognise them. */
#include "s3_internal.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "cache/base/clock.h"

enum { RETRY_AFTER_MS_MAX = 3600 * 1000 };

struct meaning {
	const char *code;
	int error;
	bool again;
	const char *words;
};

#define CLOCK_CODE "RequestTimeTooSkewed"

static const struct meaning meanings[] = {
    {"NoSuchKey", -ENOENT, false, "there is no such object"},
    {"NoSuchVersion", -ENOENT, false, "there is no such object"},
    {"NoSuchBucket", -ENODEV, false, "there is no bucket of this name"},
    {"PermanentRedirect", -ENODEV, false, "the bucket is elsewhere"},
    {"TemporaryRedirect", -ENODEV, false, "the bucket is elsewhere"},
    {"IllegalLocationConstraintException", -ENODEV, false, "the bucket is in another region"},
    {"NoSuchUpload", -ENOMSG, false, "there is no such upload"},
    {"InvalidPart", -ENOMSG, false, "a part of the upload is missing"},

    {"AccessDenied", -EACCES, false, "access is denied: the key lacks a permission on this bucket"},
    {"AllAccessDisabled", -EACCES, false, "all access to this bucket is disabled"},
    {"AccountProblem", -EACCES, false, "there is a problem with the account"},
    {"UserSuspended", -EACCES, false, "the user is suspended"},
    {"InvalidAccessKeyId", -EACCES, false, "the server does not know this access key"},
    {"SignatureDoesNotMatch", -EACCES, false, "the secret key is wrong"},
    {"ExpiredToken", -EACCES, false, "the session token has expired"},
    {"InvalidToken", -EACCES, false, "the session token is not valid"},
    {"TokenRefreshRequired", -EACCES, false, "the session token has expired"},
    {"RequestExpired", -EACCES, false, "the request has expired: is this computer's clock right?"},
    {CLOCK_CODE, -EACCES, false, "this computer's clock is wrong"},
    {"AuthorizationHeaderMalformed", -EACCES, false,
     "the server wants another region in the signature"},
    {"InvalidRegion", -EACCES, false, "the server wants another region"},
    {"NotSignedUp", -EACCES, false, "the account is not signed up for this service"},
    {"QuotaExceeded", -EACCES, false, "the quota of the bucket or its owner is used up"},
    {"XMinioStorageFull", -EACCES, false, "the server's disks are full"},
    {"AccessControlListNotSupported", -EACCES, false, "the bucket takes no ACLs: set acl=none"},

    {"PreconditionFailed", -ESTALE, false, "the object is another version than expected"},
    {"InvalidRange", -EPROTO, false, "the object is shorter than expected"},
    {"InvalidObjectState", -EINVAL, false, "the object is archived and has to be restored first"},
    {"NotImplemented", -EINVAL, false, "the server does not know this request"},
    {"MethodNotAllowed", -EINVAL, false, "the server does not know this request"},
    {"InvalidBucketName", -ENODEV, false, "the server takes no bucket of this name"},
    {"KeyTooLongError", -EINVAL, false, "the key is too long for this server"},
    {"ObjectParentIsFile", -EINVAL, false, "this server cannot hold an object below another one"},
    {"XMinioParentIsObject", -EINVAL, false, "this server cannot hold an object below another one"},
    {"EntityTooLarge", -EINVAL, false, "the object is too large for this server"},
    {"EntityTooSmall", -EINVAL, false, "a part is too small: part_size must be 5 MiB or more"},
    {"InvalidStorageClass", -EINVAL, false, "the server does not have this storage class"},

    {"BadDigest", -EHOSTDOWN, true, "the body did not arrive as it was sent"},
    {"XAmzContentSHA256Mismatch", -EHOSTDOWN, true, "the body did not arrive as it was sent"},
    {"InvalidDigest", -EHOSTDOWN, true, "the body did not arrive as it was sent"},
    {"IncompleteBody", -EHOSTDOWN, true, "the body arrived cut off"},
    {"RequestTimeout", -EHOSTDOWN, true, "the server waited too long for the body"},
    {"OperationAborted", -EHOSTDOWN, true, "another request for this object is under way"},
    {"ConditionalRequestConflict", -EHOSTDOWN, true,
     "another request for this object is under way"},
    {"SlowDown", -EHOSTDOWN, true, "the server asks for fewer requests"},
    {"TooManyRequests", -EHOSTDOWN, true, "the server asks for fewer requests"},
    {"Throttling", -EHOSTDOWN, true, "the server asks for fewer requests"},
    {"RequestLimitExceeded", -EHOSTDOWN, true, "the server asks for fewer requests"},
    {"KMS.ThrottlingException", -EHOSTDOWN, true, "the key service asks for fewer requests"},
    {"ServiceUnavailable", -EHOSTDOWN, true, "the server is not available now"},
    {"InternalError", -EHOSTDOWN, true, "the server had an error of its own"},
};

static const struct meaning by_status[] = {
    {"301", -ENODEV, false, "the bucket is elsewhere"},
    {"302", -ENODEV, false, "the server sends us elsewhere: is the endpoint right?"},
    {"307", -ENODEV, false, "the bucket is elsewhere"},
    {"308", -ENODEV, false, "the server sends us elsewhere: is the endpoint right?"},
    {"401", -EACCES, false, "the server wants other credentials"},
    {"403", -EACCES, false, "access is denied"},
    {"404", -ENOENT, false, "there is no such object"},
    {"405", -EINVAL, false, "the server does not know this request"},
    {"408", -EHOSTDOWN, true, "the server waited too long for the request"},
    {"412", -ESTALE, false, "the object is another version than expected"},
    {"416", -EPROTO, false, "the object is shorter than expected"},
    {"425", -EHOSTDOWN, true, "the server is not available now"},
    {"429", -EHOSTDOWN, true, "the server asks for fewer requests"},
    {"501", -EINVAL, false, "the server does not know this request"},
    {"503", -EHOSTDOWN, true, "the server is not available now"},
};

static const struct meaning *look_up(const struct meaning *table, size_t count, const char *code)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i].code, code) == 0)
			return &table[i];
	return NULL;
}

static const struct meaning *of_code(const char *code)
{
	static const struct meaning kms = {"KMS.", -EACCES, false,
					   "the encryption key of sse_kms_key cannot be used"};
	const struct meaning *m = look_up(meanings, sizeof(meanings) / sizeof(meanings[0]), code);

	return m ? m : strncmp(code, "KMS.", 4) == 0 ? &kms : NULL;
}

static struct meaning of_status(int status)
{
	static const struct meaning own = {"5xx", -EHOSTDOWN, true,
					   "the server had an error of its own"},
				    bad = {"4xx", -EINVAL, false,
					   "the server refuses this request"},
				    odd = {"", -EPROTO, false, "the answer cannot be understood"};
	const struct meaning *m;
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	m = look_up(by_status, sizeof(by_status) / sizeof(by_status[0]), text);
	if (m)
		return *m;
	return status >= 500 ? own : status >= 400 ? bad : odd;
}

int s3_fault_code(const char *code)
{
	const struct meaning *m = of_code(code);

	return m ? m->error : 0;
}

bool s3_fault_is_credentials(const char *code)
{
	static const char *const codes[] = {
	    "InvalidAccessKeyId",	"SignatureDoesNotMatch", "ExpiredToken",
	    "ExpiredTokenException", "InvalidToken",	 "InvalidTokenId",
	    "TokenRefreshRequired",
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return false;
}

/* Seconds, or a date. */
static int64_t retry_after_ms(const struct exchange *x)
{
	const char *text = exchange_header(x, "retry-after");
	uint64_t seconds;
	int64_t ms;

	if (!text)
		return 0;
	if (s3_text_number(text, &seconds) == 0) {
		ms = seconds < RETRY_AFTER_MS_MAX / 1000 ? (int64_t)seconds * 1000
							 : RETRY_AFTER_MS_MAX;
	} else {
		int64_t ns = s3_text_http_time(text);
		ms = ns > 0 ? (ns - clock_wall_ns()) / 1000000 : 0;
	}
	return ms < 0 ? 0 : ms > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : ms;
}

/* "1 h 2 min", from the Date header; "" when there is none. */
static void say_skew(const struct exchange *x, char *out, size_t size)
{
	const char *date = exchange_header(x, "date");
	int64_t theirs = date ? s3_text_http_time(date) : 0;
	int64_t ahead_s = (clock_wall_ns() - theirs) / 1000000000,
		s = ahead_s < 0 ? -ahead_s : ahead_s;

	out[0] = '\0';
	if (theirs == 0 || s == 0)
		return;
	if (s >= 3600)
		snprintf(out, size, ": it is %lld h %lld min %s the server's",
			 (long long)(s / 3600), (long long)(s / 60 % 60),
			 ahead_s > 0 ? "ahead of" : "behind");
	else
		snprintf(out, size, ": it is %lld min %lld s %s the server's", (long long)(s / 60),
			 (long long)(s % 60), ahead_s > 0 ? "ahead of" : "behind");
}

/* What to configure, from an answer that sends us elsewhere. */
static void say_where(const struct s3_request *q, char *out, size_t size)
{
	const char *region = exchange_header(&q->x, "x-amz-bucket-region");
	const char *location = exchange_header(&q->x, "location");
	char where[S3_HOST_BYTES];

	if (!region && q->error.region[0])
		region = q->error.region;
	out[0] = '\0';
	if (q->error.endpoint[0])
		snprintf(out, size, ": set endpoint=%s", q->error.endpoint);
	else if (!region && location) {
		s3_text_copy(where, sizeof(where), location);
		where[strcspn(where, "?")] = '\0';
		snprintf(out, size, ": it names %s", where);
	}
	if (region && s3_place_is_region(region))
		snprintf(out + strlen(out), size - strlen(out), "%s region=%s",
			 *out ? " and" : ": set", region);
}

static int fault_words(struct s3_request *q, const struct meaning *m)
{
	const struct s3_place *place = &q->s->place;
	const char *message = q->error.message;
	char more[S3_HOST_BYTES + 128] = "";
	int error = m->error;

	if (strcmp(q->error.code, CLOCK_CODE) == 0)
		say_skew(&q->x, more, sizeof(more));
	else if (error == -ENODEV || strcmp(q->error.code, "AuthorizationHeaderMalformed") == 0)
		say_where(q, more, sizeof(more));
	return fault_set(error, m->again, "bucket %s at %s: %s%s (HTTP %d%s%s%s%s)", place->bucket,
			 place->host, m->words, more, q->x.status, *q->error.code ? " " : "",
			 q->error.code, *message ? ": " : "", message);
}

static int fault_of_transport(struct s3_request *q, int rc)
{
	const char *host = q->s->place.host, *words = q->x.transport_error;

	switch (rc) {
	case -EHOSTDOWN:
		return fault_set(rc, !q->x.transport_final, "%s cannot be reached: %s%s", host,
				 words,
				 strstr(words, "wrong version number")
				     ? " (it does not speak TLS: is it endpoint=http://…?)"
				     : "");
	case -ETIMEDOUT:
		return fault_set(-EHOSTDOWN, true, "%s does not answer: %s", host, words);
	case -EPROTO:
		return fault_set(rc, true, "%s broke off its answer: %s", host, words);
	case -ECANCELED:
		return fault_set(rc, false, "stopped");
	case -EINVAL:
		return fault_set(rc, false, "a header would contain a control character");
	default:
		return fault_set(rc, false, "%s", *words ? words : strerror(-rc));
	}
}

int s3_fault_of(struct s3_request *q, int rc)
{
	struct fault *f = fault_of_thread();
	const struct meaning *m;

	f->http_status = q->x.status;
	if (rc)
		return fault_of_transport(q, rc);
	snprintf(f->code, sizeof(f->code), "%s", q->error.code);
	f->retry_after_ms = retry_after_ms(&q->x);
	m = of_code(q->error.code);
	if (m)
		return fault_words(q, m);
	struct meaning other = of_status(q->x.status);
	if (other.error == -ENOENT && !q->error.code[0] && strcmp(q->method, "GET") != 0 &&
	    strcmp(q->method, "HEAD") != 0)
		other = (struct meaning){"404", -ENODEV, false,
					 "nothing is there: is this an S3 server?"};
	return fault_words(q, &other);
}

int s3_fault_inside(struct s3_request *q)
{
	const struct meaning *m = of_code(q->error.code);
	static const struct meaning unknown = {"", -EHOSTDOWN, true, "the server gave up half way"};

	snprintf(fault_of_thread()->code, sizeof(fault_of_thread()->code), "%s", q->error.code);
	fault_of_thread()->http_status = q->x.status;
	return fault_words(q, m ? m : &unknown);
}

int s3_fault_broken(struct s3_request *q, const char *what)
{
	fault_of_thread()->http_status = q->x.status;
	return fault_set(-EPROTO, true, "%s sent an answer that cannot be used: %s",
			 q->s->place.host, what);
}

/* A body that is neither an error nor a web page (of a proxy in between) is a server's whim. */
int s3_fault_of_empty(struct s3_request *q)
{
	static const char *const pages[] = {"<html", "<!doctype html"};
	const struct buf *body = &q->x.body_out;

	if (body->length == 0)
		return 0;
	if (s3_xml_error(body->data, body->length, &q->error) == 0)
		return s3_fault_inside(q);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strncasecmp(buf_string(body), pages[i], strlen(pages[i])) == 0)
			return s3_fault_broken(q, "it is a web page");
	return 0;
}
