/* Files that hold credentials: AWS's shared files with profiles, and the passwd file of s3fs.
 *
 *     credentials=FILE   that file alone, of either kind; what it does not hold is an error
 *     else               ~/.aws/credentials for the key, then ~/.aws/config for region and
 *                        endpoint_url, and for the key where the first file has none
 * ~/.aws/config is usually readable by all and holds no secret, so its mode matters only when the
 * key comes from it. Who can write to it decides which program we run or whom we send a token to,
 * so that must be nobody else. */
#include "search.h"
#include "ops.h"
#include "settings.h"
#include "text_file.h"
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* Ways to a key that a profile may have and that are not for us. */
static bool is_unsupported(const char *name)
{
	static const char *const names[] = {"source_profile", "credential_source", "sso_session",
					    "sso_start_url", "login_session"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int ini_setting(void *arg, const char *section, const char *name, const char *value)
{
	struct search *s = arg;
	struct recipe *recipe = s->recipe;
	struct credentials *k = &recipe->key;
	struct place *p = s->place;
	const struct setting key[] = {SETTING("aws_access_key_id", k->access_key),
				      SETTING("aws_secret_access_key", k->secret),
				      SETTING("aws_session_token", k->token),
				      SETTING("credential_process", recipe->command),
				      SETTING("web_identity_token_file", recipe->token_file),
				      SETTING("role_arn", recipe->role_arn),
				      SETTING("role_session_name", recipe->session_name),
				      {NULL, NULL, 0}};
	const struct setting place[] = {
	    SETTING("region", p->region), SETTING("endpoint_url", p->endpoint), {NULL, NULL, 0}};

	if (strcmp(section, s->profile) != 0)
		return 0;
	s->profile_seen = true;
	if (!s->key_known)
		(void)search_keep_setting(s, key, name, value);
	if (is_unsupported(name))
		snprintf(s->unsupported, sizeof(s->unsupported), "%s", name);
	if (!s->place_known)
		(void)search_keep_setting(s, place, name, value);
	return 0;
}

static int search_process(struct search *s, const char *path)
{
	struct recipe *recipe = s->recipe;

	if (!recipe->command[0])
		return 1;
	recipe->kind = RECIPE_PROCESS;
	snprintf(recipe->from, sizeof(recipe->from), "credential_process of profile \"%s\" in %s",
		 s->profile, path);
	return 0;
}

/* What leads to a key: with a file that others can read a key is no secret, and one that others can
 * write to is no word of ours. */
static int file_check(const struct search *s, const char *path, const struct text_file *file)
{
	bool key = s->recipe->kind == RECIPE_KEY;
	unsigned self = (unsigned)geteuid();

	if (file->mode & (key ? 077 : 022))
		return fault_set(-EACCES, false, "%s %s by others (mode %04o): chmod %s %s", path,
				 key ? "holds a secret key and can be used"
				     : "says where the key comes from and can be written to",
				 file->mode, key ? "600" : "go-w", path);
	if (!key && file->owner != self && file->owner != 0)
		return fault_set(-EACCES, false,
				 "%s says where the key comes from and belongs to user id %u; it "
				 "must belong to user id %u or to root",
				 path, file->owner, self);
	return 0;
}

/* 0, 1 = the profile has no key there, -ENOENT = no file, -errno. */
static int search_ini(struct search *s, const char *path, enum text_file_care care)
{
	struct text_file file;
	int r = text_file_read(path, care, &file);

	if (r)
		return r;
	s->profile_seen = false;
	(void)settings_ini(file.text, ini_setting, s);
	text_file_wipe(&file);
	if (s->key_known)
		return 0;
	r = search_web_identity(s, path);
	if (r == 1)
		r = search_usable(s, path);
	if (r == 1)
		r = search_process(s, path);
	if (r == 0)
		r = file_check(s, path, &file);
	if (r == 1)
		buf_printf(&s->looked, "%s%s (%s profile \"%s\")", s->looked.length ? ", " : "",
			   path, s->profile_seen ? "no key in" : "no", s->profile);
	return r;
}

/* The shared file of this kind: the variable's, or below the home folder. NULL = no memory. */
static char *shared_path(const char *variable, const char *name)
{
	const char *home = search_variable("HOME");
	struct buf path = BUF_EMPTY;
	struct passwd *entry = NULL, space;
	char text[1024];

	if (search_variable(variable)[0]) {
		buf_text(&path, search_variable(variable));
		return buf_steal(&path);
	}
	if (!home[0] && getpwuid_r(geteuid(), &space, text, sizeof(text), &entry) == 0 && entry)
		home = entry->pw_dir;
	buf_printf(&path, "%s/.aws/%s", home, name);
	return buf_steal(&path);
}

int search_shared(struct search *s)
{
	AUTO_FREE char *keys = shared_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
	AUTO_FREE char *config = shared_path("AWS_CONFIG_FILE", "config");
	int r, r_config;

	if (!keys || !config)
		return fault_set(-ENOMEM, false, "no memory to look for credentials");
	r = search_ini(s, keys, TEXT_FILE_SECRET);
	if (r == -ENOENT)
		buf_printf(&s->looked, "%s%s (there is none)", s->looked.length ? ", " : "", keys);
	if (r < 0 && r != -ENOENT)
		return r;
	/* Read also when the key is known: the region and the endpoint are said here. */
	s->key_known = r == 0;
	r_config = search_ini(s, config, TEXT_FILE_OPEN);
	if (r_config != -ENOENT)
		return r_config;
	buf_printf(&s->looked, "%s%s (there is none)", s->looked.length ? ", " : "", config);
	return s->key_known ? 0 : 1;
}

static int search_passwd(struct search *s, const char *path, char *text)
{
	struct settings_pair pair;

	settings_passwd(text, s->bucket, &pair);
	if (!pair.access_key)
		return fault_set(-EACCES, false,
				 "%s holds neither a [profile] nor a line ACCESS:SECRET", path);
	if (s->asked_profile[0])
		return fault_set(
		    -EINVAL, false,
		    "%s has no profiles (it is of the kind ACCESS:SECRET): leave out profile=%s",
		    path, s->asked_profile);
	if (pair.lines > 1 && !pair.of_bucket)
		return fault_set(-EACCES, false,
				 "%s holds %u keys and none is for bucket \"%s\": "
				 "write BUCKET:ACCESS:SECRET, or one line",
				 path, pair.lines, s->bucket);
	search_keep(s, "the access key", pair.access_key, s->recipe->key.access_key,
		    sizeof(s->recipe->key.access_key));
	search_keep(s, "the secret key", pair.secret, s->recipe->key.secret,
		    sizeof(s->recipe->key.secret));
	return search_usable(s, path);
}

int search_credentials_file(struct search *s)
{
	const char *path = s->credentials;
	struct text_file file;
	int r = text_file_read(path, TEXT_FILE_SECRET, &file);

	if (r)
		return r == -ENOENT ? -EACCES : r;
	if (settings_is_ini(file.text)) {
		text_file_wipe(&file);
		r = search_ini(s, path, TEXT_FILE_SECRET);
		if (r == 1 && !s->unsupported[0])
			r = fault_set(-EACCES, false, "%s has no %s \"%s\"", path,
				      s->profile_seen ? "key in profile" : "profile", s->profile);
		return r;
	}
	if (file.text[strspn(file.text, " \t\r\n")] == '\0')
		r = fault_set(-EACCES, false, "%s is empty", path);
	else
		r = search_passwd(s, path, file.text);
	text_file_wipe(&file);
	return r == 1 ? fault_set(-EACCES, false, "%s holds no key", path) : r;
}
