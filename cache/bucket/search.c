/* Where the key comes from. The first place that has one is taken, and no other:
 *
 *     env_file=FILE                       Mastodon's .env.production
 *     credentials=FILE, profile=NAME      an AWS shared credentials file, or a passwd file of s3fs
 *     AWS_ACCESS_KEY_ID …                 the environment
 *     AWS_WEB_IDENTITY_TOKEN_FILE         with AWS_ROLE_ARN: STS (EKS service accounts)
 *     ~/.aws/credentials, ~/.aws/config   AWS_PROFILE, or "default"; AWS_*_FILE is honoured. In a
 *                                         profile: web_identity_token_file with role_arn, a key,
 *                                         credential_process
 *     AWS_CONTAINER_CREDENTIALS_*         ECS tasks and EKS pods
 *     the instance's metadata service     EC2, unless AWS_EC2_METADATA_DISABLED=true
 *
 * From the environment on it is the default chain of AWS's SDKs ("AWS SDKs and Tools Reference
 * Guide", Standardized credential providers). As there, the first place that is set up is the one:
 * a role that STS refuses does not lead on to the instance's role.
 *
 * What was asked for by an option is never passed over: a file without a usable key is an error
 * there and then, and a profile that was asked for is the last place. An env_file without any key
 * is the exception, since it is also given for its S3_* names.
 *
 * The place (endpoint, region, …) comes with the key: whoever uses Mastodon's env file must not
 * be sent elsewhere by a forgotten ~/.aws/config. What an env_file says of the place always counts.
 */
#include "search.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "ops.h"

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

static int fits(const struct search *s, const char *where)
{
	if (!s->too_long[0])
		return 0;
	return fault_set(-EACCES, false, "%s: %s is too long to be right", where, s->too_long);
}

int search_usable(struct search *s, const char *where)
{
	const struct credentials *k = &s->recipe->key;
	int r = fits(s, where);

	if (r)
		return r;
	if (!k->access_key[0] && !k->secret[0])
		return 1;
	if (!k->access_key[0] || !k->secret[0])
		return fault_set(-EACCES, false, "%s holds %s but not %s", where,
				 k->secret[0] ? "a secret key" : "an access key",
				 k->secret[0] ? "the access key" : "the secret key");
	if (!credentials_printable(k))
		return fault_set(-EACCES, false,
				 "%s: the key contains a blank or a character that no key has",
				 where);
	s->recipe->kind = RECIPE_KEY;
	snprintf(s->recipe->from, sizeof(s->recipe->from), "%s", where);
	return 0;
}

int search_web_identity(struct search *s, const char *where)
{
	struct recipe *recipe = s->recipe;
	int r = fits(s, where);

	if (r || !recipe->token_file[0])
		return r ? r : 1;
	if (!recipe->role_arn[0])
		return fault_set(-EACCES, false,
				 "%s names a web identity's token file but not the role (role_arn)",
				 where);
	recipe->kind = RECIPE_WEB_IDENTITY;
	snprintf(recipe->from, sizeof(recipe->from), "web identity with token file %s, by %s",
		 recipe->token_file, where);
	return 0;
}

/* -- the environment -- */

static int search_environment(struct search *s)
{
	struct recipe *recipe = s->recipe;
	struct credentials *k = &recipe->key;
	const struct setting table[] = {SETTING("AWS_ACCESS_KEY_ID", k->access_key),
					SETTING("AWS_SECRET_ACCESS_KEY", k->secret),
					SETTING("AWS_SESSION_TOKEN", k->token),
					SETTING("AWS_WEB_IDENTITY_TOKEN_FILE", recipe->token_file),
					SETTING("AWS_ROLE_ARN", recipe->role_arn),
					SETTING("AWS_ROLE_SESSION_NAME", recipe->session_name),
					{NULL, NULL, 0}};
	int r;

	for (const struct setting *t = table; t->name; t++)
		search_keep(s, t->name, search_variable(t->name), t->out, t->space);
	r = search_usable(s, "the environment");
	if (r == 1)
		r = search_web_identity(s, "the environment");
	if (r != 1)
		return r;
	buf_text(&s->looked, ", AWS_ACCESS_KEY_ID in the environment (not set)");
	memset(recipe, 0, sizeof(*recipe)); /* a profile must not get half of it */
	return 1;
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

/* -- services -- */

/* "AWS SDKs and Tools Reference Guide", Container credential provider. */
static int search_container(struct search *s)
{
	const char *path = search_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		   *full = search_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct recipe *recipe = s->recipe;

	if (!path[0] && !full[0]) {
		buf_text(&s->looked, ", AWS_CONTAINER_CREDENTIALS_* in the environment (not set)");
		return 1;
	}
	if (path[0] && path[0] != '/')
		return fault_set(-EACCES, false,
				 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
	if ((size_t)snprintf(recipe->url, sizeof(recipe->url), "%s%s",
			     path[0] ? "http://169.254.170.2" : "",
			     path[0] ? path : full) >= sizeof(recipe->url))
		return fault_set(-EACCES, false, "AWS_CONTAINER_CREDENTIALS_* is too long");
	if (!container_url_allowed(recipe->url))
		return fault_set(-EACCES, false,
				 "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https://…, or http:// "
				 "to this host or to the address that ECS or EKS has for it");
	recipe->kind = RECIPE_CONTAINER;
	snprintf(recipe->from, sizeof(recipe->from), "the container's credentials service");
	return 0;
}

/* "AWS SDKs and Tools Reference Guide", IMDS credential provider. */
static int search_instance(struct search *s)
{
	const char *url = search_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
		   *mode = search_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	struct recipe *recipe = s->recipe;
	size_t length;

	if (strcasecmp(search_variable("AWS_EC2_METADATA_DISABLED"), "true") == 0) {
		buf_text(&s->looked, ", the instance's metadata (AWS_EC2_METADATA_DISABLED)");
		return 1;
	}
	if (!url[0])
		url = strcasecmp(mode, "IPv6") == 0 ? "http://[fd00:ec2::254]"
						    : "http://169.254.169.254";
	search_keep(s, "AWS_EC2_METADATA_SERVICE_ENDPOINT", url, recipe->url,
		    sizeof(recipe->url) - 128);
	length = strlen(recipe->url);
	while (length > 0 && recipe->url[length - 1] == '/')
		recipe->url[--length] = '\0';
	recipe->kind = RECIPE_INSTANCE;
	snprintf(recipe->from, sizeof(recipe->from), "the instance's metadata service");
	return fits(s, "the environment");
}

/* -- the search as a whole -- */

static int nothing_found(const struct search *s)
{
	if (s->unsupported[0])
		return fault_set(-EACCES, false,
				 "profile \"%s\" has its key by %s, which is not supported: use "
				 "credential_process (\"aws configure export-credentials\" prints "
				 "what it needs), a web identity, or a key",
				 s->profile, s->unsupported);
	if (s->asked_profile[0])
		return fault_set(-EACCES, false, "no key for profile \"%s\": looked at %s",
				 s->profile, buf_string(&s->looked));
	return fault_set(
	    -EACCES, false,
	    "no credentials found: looked at %s; give env_file=FILE or credentials=FILE",
	    buf_string(&s->looked));
}

static int search_places(struct search *s)
{
	int r = search_env_file(s);

	if (r <= 0)
		return r;
	memset(s->recipe, 0, sizeof(*s->recipe));
	if (s->credentials[0]) {
		r = search_credentials_file(s);
	} else {
		r = s->asked_profile[0] ? 1 : search_environment(s);
		if (r == 1)
			r = search_shared(s);
		if (r == 1 && !s->asked_profile[0] && !s->unsupported[0])
			r = search_container(s);
		if (r == 1 && !s->asked_profile[0] && !s->unsupported[0])
			r = search_instance(s);
	}
	if (r == 1)
		r = nothing_found(s);
	place_of_environment(s);
	return r == 0 ? fits(s, "the AWS settings") : r;
}

int search_run(struct search *s)
{
	int r;

	memset(s->recipe, 0, sizeof(*s->recipe));
	memset(s->place, 0, sizeof(*s->place));
	s->place->path_style = -1;
	s->profile = s->asked_profile;
	if (!s->profile[0])
		s->profile = search_variable("AWS_PROFILE");
	if (!s->profile[0])
		s->profile = "default";
	r = search_places(s);
	if (r == 0)
		search_keep(s, "region", s->region[0] ? s->region : s->place->region,
			    s->recipe->region, sizeof(s->recipe->region));
	if (r)
		recipe_wipe(s->recipe);
	return r;
}
