/* Env files, INI files and s3fs's passwd file.
 *
 * Env file (dotenv's rules, which Mastodon uses):
 *     line  = ["export "] NAME "=" value
 *     value = 'literal' | "text with \n \" \\ escapes" | bare text up to " #" or the end of the
 * line A quoted value may span lines; a quote that is never closed is an ordinary character. $NAME
 * is not replaced: no setting that is read here needs it, and a secret may contain a dollar sign.
 *
 * INI file (AWS "shared config and credentials files"):
 *     [name] | [profile name] | [profile "name with spaces"]
 *     name = value                       up to " #" or " ;"
 *     <space> name = value               belongs to the setting above, not to the section: left out
 *
 * Command (credential_process; the rules of Python's shlex, which botocore uses):
 *     word = {character | \character | 'literal' | "text with \" and \\ escapes"}
 *
 * passwd file (s3fs): a secret has no colon, but an access key may have one (Swift's test:tester),
 * so the secret begins after the last colon, and what precedes the first is a bucket only if it is
 * ours. */
#include "settings.h"
#include <ctype.h>
#include <stddef.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* Cuts blanks and the CR of a Windows line off the end of [p, end). */
static void trim_end(char *p, char *end)
{
	while (end > p && (is_blank(end[-1]) || end[-1] == '\r'))
		end--;
	*end = '\0';
}

/* Ends the line at p and returns the next one, or NULL. */
static char *line_cut(char *p)
{
	char *end = strchr(p, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	return end + 1;
}

static char *skip_mark(char *text)
{
	return strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
}

/* Cuts at a blank that is followed by one of marks, and trims. */
static void cut_comment(char *value, const char *marks)
{
	char *p = value;

	for (; *p; p++)
		if (strchr(marks, *p) && (p == value || is_blank(p[-1])))
			break;
	trim_end(value, p);
}

/* The closing quote, or NULL. A backslash protects only inside double quotes. */
static char *quote_end(char *p, char quote)
{
	for (; *p && *p != quote; p++)
		if (quote == '"' && *p == '\\' && p[1])
			p++;
	return *p ? p : NULL;
}

static void unescape(char *text)
{
	char *out = text;

	for (char *p = text; *p; p++) {
		if (*p != '\\' || !p[1]) {
			*out++ = *p;
			continue;
		}
		p++;
		*out++ = *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p;
	}
	*out = '\0';
}

/* Ends the value that starts at *value and returns the line after it, or NULL. */
static char *env_value(char **value)
{
	char quote = **value, *end = NULL, *next;

	if (quote == '\'' || quote == '"')
		end = quote_end(*value + 1, quote);
	if (!end) {
		next = line_cut(*value);
		cut_comment(*value, "#");
		return next;
	}
	next = line_cut(end);
	*end = '\0';
	(*value)++;
	if (quote == '"')
		unescape(*value);
	return next;
}

/* The length of the name that is followed by '=', or 0. */
static size_t name_length(const char *p, const char *also)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || (p[n] && strchr(also, p[n])))
		n++;
	return n;
}

int settings_env(char *text, settings_visit *visit, void *arg)
{
	for (char *line = skip_mark(text); line;) {
		char *name = skip_blanks(line), *value;
		size_t n;

		if (strncmp(name, "export", 6) == 0 && is_blank(name[6]))
			name = skip_blanks(name + 6);
		n = name_length(name, "_");
		value = skip_blanks(name + n);
		if (n == 0 || *value != '=') {
			line = line_cut(name);
			continue;
		}
		name[n] = '\0';
		value = skip_blanks(value + 1);
		line = env_value(&value);

		int r = visit(arg, "", name, value);
		if (r)
			return r;
	}
	return 0;
}

/* The name inside [profile "name"], cut out in place; NULL when the line is not a section. */
static char *section_name(char *line)
{
	char *p = line, *end;

	if (*p != '[' || !(end = strchr(p, ']')))
		return NULL;
	p = skip_blanks(p + 1);
	if (strncmp(p, "profile", 7) == 0 && is_blank(p[7]))
		p = skip_blanks(p + 7);
	if (p > end)
		p = end;
	trim_end(p, end);
	if ((*p == '"' || *p == '\'') && (end = strchr(p + 1, *p))) {
		*end = '\0';
		p++;
	}
	return p;
}

int settings_ini(char *text, settings_visit *visit, void *arg)
{
	const char *section = "";

	for (char *line = skip_mark(text), *next; line; line = next) {
		char *found, *value;
		size_t n;

		next = line_cut(line);
		found = section_name(line);
		if (found)
			section = found;
		n = name_length(line, "_-.");
		value = skip_blanks(line + n);
		if (found || n == 0 || *value != '=')
			continue;
		line[n] = '\0';
		value = skip_blanks(value + 1);
		cut_comment(value, "#;");

		int r = visit(arg, section, line, value);
		if (r)
			return r;
	}
	return 0;
}

bool settings_is_ini(const char *text)
{
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += strspn(p, " \t\r\n");
		if (*p == '[')
			return true;
	}
	return false;
}

/* One word from p on, closed up to its plain text at out; NULL = a quote is open. */
static char *word_cut(char *p, char **out)
{
	char quote = 0;

	for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
		bool escapes = !quote || (quote == '"' && (p[1] == '"' || p[1] == '\\'));

		if (*p == '\\' && p[1] && escapes)
			*(*out)++ = *++p;
		else if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else
			*(*out)++ = *p;
	}
	return quote ? NULL : p;
}

int settings_words(char *text, char **words, int max)
{
	char *p = text;
	int count = 0;

	for (;;) {
		char *out;
		bool last;

		p += strspn(p, " \t\r\n");
		if (!*p)
			return count;
		if (count == max)
			return -1;
		words[count++] = out = p;
		p = word_cut(p, &out);
		if (!p)
			return -1;
		last = *p == '\0';
		*out = '\0';
		if (last)
			return count;
		p++;
	}
}

void settings_passwd(char *text, const char *bucket, struct settings_pair *out)
{
	size_t bucket_bytes = strlen(bucket);

	memset(out, 0, sizeof(*out));
	for (char *line = skip_mark(text), *next; line; line = next) {
		char *access, *colon;
		bool ours;

		next = line_cut(line);
		access = skip_blanks(line);
		trim_end(access, access + strlen(access));
		colon = strrchr(access, ':');
		if (*access == '#' || !colon)
			continue;
		out->lines++;
		*colon = '\0';
		ours = bucket_bytes > 0 && strncmp(access, bucket, bucket_bytes) == 0 &&
		       access[bucket_bytes] == ':';
		if (out->access_key && (!ours || out->of_bucket))
			continue;
		out->access_key = ours ? access + bucket_bytes + 1 : access;
		out->secret = colon + 1;
		out->of_bucket = ours;
	}
}
