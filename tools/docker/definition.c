/* bucket= is tootfs's first argument; every other option is one of the table in cache/config.c, which knows the names, the
 * limits, and the nearest name of a mistyped one. What is refused here and not there: paths that are not absolute, since
 * nobody knows relative to what; what only a person at a terminal can want; and what looks like a secret, which gets told
 * where secrets belong, because `docker volume inspect` shows every option to everybody.
 *
 * Stored: {"version": 1, "created": TIME, "options": {NAME: TEXT}}. What is read back is checked again as if it were new:
 * an older plugin may have known other options. */
#include "definition.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "cache/config.h"

enum { VERSION = 1, VALUE_MAX = 4096 };

static int refuse(struct buf *why, const char *text)
{
	buf_text(why, text);
	return -EINVAL;
}

/* A comma would end it, a quote or backslash is special: fs/options.c reads it back. */
static void append_option(struct buf *out, const char *name, const char *value)
{
	if (out->length)
		buf_text(out, ",");
	buf_text(out, name);
	if (!value)
		return;
	buf_text(out, "=");
	for (; *value; value++) {
		if (strchr(",\"\\", *value))
			buf_text(out, "\\");
		buf_append(out, value, 1);
	}
}

static bool looks_secret(const char *name)
{
	static const char *const words[] = {"secret", "password", "passwd", "access_key", "access-key", "accesskey",
					    "token",  "key_id",	  "aws_",     "credential"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

/* NAME, NAME/PREFIX, s3://NAME[/PREFIX] or file:///FOLDER */
static int take_bucket(struct definition *d, struct cache_config *config, const char *value, struct buf *why)
{
	if (!value || !value[0])
		return refuse(why, "the option bucket is missing: bucket=s3://NAME, bucket=s3://NAME/PREFIX or "
				   "bucket=file:///FOLDER");
	if (strlen(value) > VALUE_MAX)
		return refuse(why, "the option bucket is too long");
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return refuse(why, "the option bucket has a control character");
	if (strstr(value, "://") && strncmp(value, "s3://", 5) && strncmp(value, "file:///", 8))
		return refuse(why, "bucket: s3://NAME, s3://NAME/PREFIX or file:///FOLDER is needed");
	if (asprintf(&d->spec, "%s%s", strstr(value, "://") ? "" : "s3://", value) < 0)
		d->spec = NULL;
	return d->spec ? config_spec(config, d->spec) : -ENOMEM;
}

static int take_option(struct cache_config *config, const char *name, const char *value, struct buf *options,
		       struct buf *why)
{
	const struct config_option *option = config_find(name);

	if (!option && looks_secret(name))
		return refuse(why, "secrets are no options, since everybody can read those of a volume: give the name of a file on "
				   "this host with credentials=FILE or env_file=FILE, or a profile with profile=NAME");
	if (strlen(value) > VALUE_MAX) {
		buf_printf(why, "the option %s is too long", option ? option->name : "with a long name");
		return -EINVAL;
	}
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127) {
			buf_printf(why, "the option %s has a control character", name);
			return -EINVAL;
		}
	if (option && option->kind == CONFIG_PATH && value[0] != '/') {
		buf_printf(why, "%s: an absolute path on the host is needed", name);
		return -EINVAL;
	}
	/* "-o ro" comes with an empty text */
	if (option && option->kind == CONFIG_SWITCH && !value[0])
		value = NULL;
	append_option(options, name, value);
	return config_set(config, name, value, why);
}

static int take_options(struct cache_config *config, const json_t *given, struct buf *options, struct buf *why)
{
	const char *name;
	json_t *value;
	int error = 0;

	json_object_foreach ((json_t *)(uintptr_t)given, name, value) {
		if (error || strcmp(name, "bucket") == 0)
			continue;
		if (!json_is_string(value))
			error = refuse(why, "an option is not a text");
		else if (!name[0])
			error = refuse(why, "an option has no name");
		else
			error = take_option(config, name, json_string_value(value), options, why);
	}
	return error;
}

static int give_cache(struct cache_config *config, const char *name, const char *folder, struct buf *options,
		      struct buf *why)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	append_option(options, "cache", path);
	return config_set(config, "cache", path, why);
}

static int check(struct definition *d, const char *name, const char *cache_folder, struct buf *why)
{
	AUTO_BUF struct buf options = BUF_EMPTY;
	struct cache_config config;
	int error;

	config_init(&config);
	error = take_bucket(d, &config, json_string_value(json_object_get(d->given, "bucket")), why);
	if (!error)
		error = take_options(&config, d->given, &options, why);
	if (!error && cache_folder && !json_object_get(d->given, "cache"))
		error = give_cache(&config, name, cache_folder, &options, why);
	if (!error)
		error = config_finish(&config, why);
	if (!error) {
		d->cache = config.cache ? strdup(config.cache) : NULL;
		buf_text(&options, ""); /* there may be none */
		d->options = buf_steal(&options);
		error = d->cache && d->options ? 0 : -ENOMEM;
	}
	config_destroy(&config);
	return error;
}

static char *now_text(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!gmtime_r(&now, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return NULL;
	return strdup(text);
}

int definition_make(struct definition *d, const char *name, const json_t *options, const char *cache_folder,
		    struct buf *why)
{
	*d = (struct definition){.given = options ? json_deep_copy(options) : json_object(), .created = now_text()};
	return d->given && d->created ? check(d, name, cache_folder, why) : -ENOMEM;
}

static int damage(struct definition *d, const char *text)
{
	char *created = d->created;

	d->created = NULL;
	definition_destroy(d);
	d->created = created ? created : strdup("1970-01-01T00:00:00Z");
	d->damaged = strdup(text);
	return d->created && d->damaged ? 0 : -ENOMEM;
}

int definition_read(struct definition *d, const char *name, const char *text, size_t length, const char *cache_folder)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	json_t *stored = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *given = json_object_get(stored, "options");
	const char *created = json_string_value(json_object_get(stored, "created"));
	int error;

	*d = (struct definition){.created = created ? strdup(created) : NULL};
	if (!json_is_object(given) || !created || json_integer_value(json_object_get(stored, "version")) != VERSION) {
		error = damage(d, "its stored definition cannot be read");
	} else {
		d->given = json_incref(given);
		error = check(d, name, cache_folder, &why);
		if (error == -EINVAL)
			error = damage(d, buf_string(&why));
	}
	json_decref(stored);
	return error;
}

char *definition_text(const struct definition *d)
{
	json_t *stored = json_pack("{si ss sO}", "version", VERSION, "created", d->created, "options", d->given);
	char *text = stored ? json_dumps(stored, JSON_INDENT(1)) : NULL;

	json_decref(stored);
	return text;
}

void definition_destroy(struct definition *d)
{
	json_decref(d->given);
	free(d->created);
	free(d->spec);
	free(d->options);
	free(d->cache);
	free(d->damaged);
	*d = (struct definition){.given = NULL};
}
