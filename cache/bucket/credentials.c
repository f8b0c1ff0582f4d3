/* Where the access key comes from. The first place that has one is asked, and no other:
 *
 *     env_file=FILE                       Mastodon's .env.production
 *     credentials=FILE, profile=NAME      an AWS shared credentials file, or a passwd file of s3fs
 *     AWS_ACCESS_KEY_ID …                 the environment
 *     ~/.aws/credentials, ~/.aws/config   AWS_PROFILE, or "default"; AWS_*_FILE is honoured
 *
 * What was asked for by an option is never passed over: a file without a usable key is an error
 * there and then. An env_file without any key is the exception, since it is also given for its
 * S3_* names.
 *
 * The place (endpoint, region, …) comes with the key: whoever uses Mastodon's env file must not
 * be sent elsewhere by a forgotten ~/.aws/config. What an env_file says of the place always counts.
 *
 * The whole search is repeated when the server refused the key (rotation), from the same options
 * and environment. Files are read at open and then, never else. */
#include "credentials.h"
#include "cache/base/lock.h"
#include "ops.h"
#include "search.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct credential_source {
	char *env_file, *credentials, *profile, *bucket; /* fixed at birth; "" = not given */
	struct lock lock;
	struct {
		struct credentials now;
		bool stale;
	} locked;
};

void credentials_wipe(struct credentials *c)
{
	explicit_bzero(c, sizeof(*c));
}

const char *search_variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

void search_keep(struct search *s, const char *name, const char *value, char *out, size_t space)
{
	size_t length = strlen(value);

	if (length >= space) {
		snprintf(s->too_long, sizeof(s->too_long), "%s", name);
		return;
	}
	memcpy(out, value, length + 1);
}

bool search_keep_setting(struct search *s, const struct setting *table, const char *name,
			 const char *value)
{
	for (; table->name; table++) {
		if (strcmp(table->name, name) != 0)
			continue;
		search_keep(s, name, value, table->out, table->space);
		return true;
	}
	return false;
}

static bool is_printable_word(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

int search_usable(const struct search *s, const char *where)
{
	const struct credentials *k = s->key;

	if (s->too_long[0])
		return fault_set(-EACCES, false, "%s: %s is too long to be right", where,
				 s->too_long);
	if (!k->access_key[0] && !k->secret[0])
		return 1;
	if (!k->access_key[0] || !k->secret[0])
		return fault_set(-EACCES, false, "%s holds %s but not %s", where,
				 k->secret[0] ? "a secret key" : "an access key",
				 k->secret[0] ? "the access key" : "the secret key");
	if (!is_printable_word(k->access_key) || !is_printable_word(k->secret) ||
	    !is_printable_word(k->token))
		return fault_set(-EACCES, false,
				 "%s: the key contains a blank or a character that no key has",
				 where);
	return 0;
}

/* -- the environment -- */

static int search_environment(struct search *s)
{
	struct credentials *k = s->key;

	search_keep(s, "AWS_ACCESS_KEY_ID", search_variable("AWS_ACCESS_KEY_ID"), k->access_key,
		    sizeof(k->access_key));
	search_keep(s, "AWS_SECRET_ACCESS_KEY", search_variable("AWS_SECRET_ACCESS_KEY"), k->secret,
		    sizeof(k->secret));
	search_keep(s, "AWS_SESSION_TOKEN", search_variable("AWS_SESSION_TOKEN"), k->token,
		    sizeof(k->token));
	buf_text(&s->looked, ", AWS_ACCESS_KEY_ID in the environment (not set)");
	return search_usable(s, "the environment");
}

/* The variables win over a profile's place, but not over an env_file. */
static void place_of_environment(struct search *s)
{
	const char *region = search_variable("AWS_REGION"),
		   *endpoint = search_variable("AWS_ENDPOINT_URL_S3");

	if (s->place_known)
		return;
	if (!region[0])
		region = search_variable("AWS_DEFAULT_REGION");
	if (!endpoint[0])
		endpoint = search_variable("AWS_ENDPOINT_URL");
	if (region[0])
		search_keep(s, "AWS_REGION", region, s->place->region, sizeof(s->place->region));
	if (endpoint[0])
		search_keep(s, "AWS_ENDPOINT_URL", endpoint, s->place->endpoint,
			    sizeof(s->place->endpoint));
}

/* -- the search as a whole -- */

static int search_places(struct search *s)
{
	int r = search_env_file(s);

	if (r <= 0)
		return r;
	credentials_wipe(s->key);
	if (s->credentials[0]) {
		r = search_credentials_file(s);
	} else {
		r = s->asked_profile[0] ? 1 : search_environment(s);
		if (r == 1)
			r = search_shared(s);
	}
	if (r == 1 && s->asked_profile[0])
		return fault_set(-EACCES, false, "no key for profile \"%s\": looked at %s",
				 s->profile, buf_string(&s->looked));
	if (r == 1)
		return fault_set(
		    -EACCES, false,
		    "no credentials found: looked at %s; give env_file=FILE or credentials=FILE",
		    buf_string(&s->looked));
	if (r == 0)
		place_of_environment(s);
	return r == 0 && s->too_long[0] ? search_usable(s, "the AWS settings") : r;
}

static int search(const struct credential_source *source, struct credentials *key,
		  struct place *place)
{
	struct search s = {
	    .env_file = source->env_file,
	    .credentials = source->credentials,
	    .asked_profile = source->profile,
	    .bucket = source->bucket,
	    .key = key,
	    .place = place,
	    .profile = source->profile,
	};
	int r;

	memset(key, 0, sizeof(*key));
	memset(place, 0, sizeof(*place));
	place->path_style = -1;
	if (!s.profile[0])
		s.profile = search_variable("AWS_PROFILE");
	if (!s.profile[0])
		s.profile = "default";
	r = search_places(&s);
	buf_destroy(&s.looked);
	if (r)
		credentials_wipe(key);
	return r;
}

/* NAME of s3://NAME/PREFIX, for a passwd file. */
static char *bucket_of_spec(const char *spec)
{
	if (!spec || strncmp(spec, "s3://", 5) != 0)
		return strdup("");
	return strndup(spec + 5, strcspn(spec + 5, "/"));
}

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

int credentials_open(const struct bucket_config *config, struct credential_source **out,
		     struct place *place)
{
	struct credential_source *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return fault_set(-ENOMEM, false, "no memory for credentials");
	lock_init(&c->lock);
	c->env_file = copy(config->env_file);
	c->credentials = copy(config->credentials);
	c->profile = copy(config->profile);
	c->bucket = bucket_of_spec(config->spec);
	if (!c->env_file || !c->credentials || !c->profile || !c->bucket)
		r = fault_set(-ENOMEM, false, "no memory for credentials");
	else
		r = search(c, &c->locked.now, place);
	if (r) {
		credentials_close(&c);
		return r;
	}
	*out = c;
	return 0;
}

int credentials_get(struct credential_source *source, struct credentials *out)
{
	struct place place;
	bool stale;
	int r = 0;

	lock_take(&source->lock);
	stale = source->locked.stale;
	if (!stale)
		*out = source->locked.now;
	lock_drop(&source->lock);
	if (!stale)
		return 0;
	/* Two threads may both read the files here; both find the same. */
	r = search(source, out, &place);
	if (r)
		return r;
	lock_take(&source->lock);
	source->locked.now = *out;
	source->locked.stale = false;
	lock_drop(&source->lock);
	return 0;
}

void credentials_refused(struct credential_source *source)
{
	lock_take(&source->lock);
	source->locked.stale = true;
	lock_drop(&source->lock);
}

void credentials_close(struct credential_source **source)
{
	struct credential_source *c = *source;

	*source = NULL;
	if (!c)
		return;
	credentials_wipe(&c->locked.now);
	lock_destroy(&c->lock);
	free(c->env_file);
	free(c->credentials);
	free(c->profile);
	free(c->bucket);
	free(c);
}
