/* Mastodon's own .env.production as a place for credentials.
 *
 * Its names are read as Mastodon's storage initializer reads them, so that the same file means the
 * same bucket to both:
 *     S3_BUCKET, S3_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     S3_ENDPOINT      where requests go; path style then, unless S3_OVERRIDE_PATH_STYLE=true
 *     S3_PROTOCOL      only for an S3_ENDPOINT without "http://"
 *     S3_PERMISSION    '' = send no ACL
 *     S3_STORAGE_CLASS, S3_KEY_PREFIX
 * S3_HOSTNAME and S3_ALIAS_HOST make the links in its pages and are no address of the S3 interface,
 * often they name a CDN: left out. */
#include "search.h"
#include "ops.h"
#include "settings.h"
#include "text_file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct mastodon {
	struct search *search;
	struct setting table[8]; /* ends with a name of NULL */
	char protocol[16];
};

static int mastodon_setting(void *arg, const char *section, const char *name, const char *value)
{
	struct mastodon *m = arg;
	struct place *p = m->search->place;

	(void)section;
	if (search_keep_setting(m->search, m->table, name, value))
		return 0;
	if (strcmp(name, "S3_PERMISSION") == 0)
		search_keep(m->search, name, *value ? value : "none", p->acl, sizeof(p->acl));
	else if (strcmp(name, "S3_KEY_PREFIX") == 0)
		search_keep(m->search, name, value, p->prefix, sizeof(p->prefix));
	else if (strcmp(name, "S3_STORAGE_CLASS") == 0)
		search_keep(m->search, name, value, p->storage_class, sizeof(p->storage_class));
	else if (strcmp(name, "S3_PROTOCOL") == 0)
		search_keep(m->search, name, value, m->protocol, sizeof(m->protocol));
	else if (strcmp(name, "S3_OVERRIDE_PATH_STYLE") == 0)
		m->search->place->path_style = strcmp(value, "true") == 0 ? 0 : 1;
	return 0;
}

static int mastodon_place(struct mastodon *m)
{
	struct place *p = m->search->place;
	char endpoint[sizeof(p->endpoint)];

	if (!p->endpoint[0]) {
		p->path_style = -1;
		return 0;
	}
	if (p->path_style < 0)
		p->path_style = 1;
	if (strstr(p->endpoint, "://"))
		return 0;
	memcpy(endpoint, p->endpoint, sizeof(endpoint));
	if ((size_t)snprintf(p->endpoint, sizeof(p->endpoint), "%s://%s",
			     m->protocol[0] ? m->protocol : "https",
			     endpoint) >= sizeof(p->endpoint))
		return fault_set(-EACCES, false, "%s: S3_ENDPOINT is too long",
				 m->search->env_file);
	return 0;
}

int search_env_file(struct search *s)
{
	const char *path = s->env_file;
	struct credentials *k = &s->recipe->key;
	struct place *p = s->place;
	struct mastodon m = {
	    .search = s,
	    .table = {SETTING("S3_BUCKET", p->bucket), SETTING("S3_REGION", p->region),
		      SETTING("S3_ENDPOINT", p->endpoint),
		      SETTING("AWS_ACCESS_KEY_ID", k->access_key),
		      SETTING("AWS_SECRET_ACCESS_KEY", k->secret),
		      SETTING("AWS_SESSION_TOKEN", k->token)},
	};
	struct text_file file;
	int r;

	if (!path[0]) {
		buf_text(&s->looked, "env_file= (not given)");
		return 1;
	}
	r = text_file_read(path, TEXT_FILE_SHARED_SECRET, &file);
	if (r)
		return r == -ENOENT ? -EACCES : r;
	(void)settings_env(file.text, mastodon_setting, &m);
	text_file_wipe(&file);
	s->place_known = p->bucket[0] || p->endpoint[0] || p->region[0];
	r = mastodon_place(&m);
	buf_printf(&s->looked, "%s (no AWS_ACCESS_KEY_ID)", path);
	return r ? r : search_usable(s, path);
}
