/* A key from an EC2 instance's metadata service, version 2 only.
 *
 *     PUT /latest/api/token                                       → a session token
 *         X-aws-ec2-metadata-token-ttl-seconds: 300
 *     GET /latest/meta-data/iam/security-credentials/             → the name of the role
 *         X-aws-ec2-metadata-token: …
 *     GET /latest/meta-data/iam/security-credentials/ROLE         → the key, as JSON
 *
 * "Amazon EC2 User Guide", Use the Instance Metadata Service, and Retrieve security credentials.
 * The instance decides how many hops the answer to the PUT may travel: 1 by default, so in a
 * container the PUT is answered by nobody.
 *
 * Version 1 is not fallen back to: it is what makes a metadata service dangerous, and every
 * instance has version 2. The first request decides within a second whether there is such a
 * service, since on any other computer it is only asked to learn that there is none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "answers.h"
#include "fetch.h"
#include "ops.h"
#include "recipe.h"

enum { FIRST_MS = 1000, ANSWER_MS = 3000, TOKEN_BYTES_MAX = 1024, ROLE_BYTES_MAX = 128 };

#define ROLES "/latest/meta-data/iam/security-credentials/"

/* A word of the answer: printable, of one line, not longer than space allows. */
static bool take_word(const struct fetch *f, char *out, size_t space)
{
	size_t length = strcspn(f->answer, "\r\n");

	if (length == 0 || length >= space)
		return false;
	for (size_t i = 0; i < length; i++)
		if (f->answer[i] <= ' ' || f->answer[i] > '~')
			return false;
	memcpy(out, f->answer, length);
	out[length] = '\0';
	return true;
}

static int no_answer(const struct recipe *recipe, int r, const struct fetch *f)
{
	return fault_set(r == -EPROTO ? -EACCES : r, r == -EHOSTDOWN, "%s does not answer: %s",
			 recipe->from, f->why);
}

static int get_token(const struct recipe *recipe, const atomic_bool *stop,
		     char out[TOKEN_BYTES_MAX])
{
	const char *headers[] = {"X-aws-ec2-metadata-token-ttl-seconds: 300", NULL};
	char url[sizeof(recipe->url) + 64];
	struct fetch f = {.method = "PUT",
			  .url = url,
			  .headers = headers,
			  .direct = true,
			  .connect_timeout_ms = FIRST_MS,
			  .timeout_ms = FIRST_MS,
			  .attempts = 1,
			  .stop = stop};
	int r;

	snprintf(url, sizeof(url), "%s/latest/api/token", recipe->url);
	r = fetch_run(&f);
	if (r)
		r = no_answer(recipe, r, &f);
	else if (f.status != 200)
		r = fault_set(f.status >= 500 ? -EHOSTDOWN : -EACCES, f.status >= 500,
			      "%s gives no session token (HTTP %d)", recipe->from, f.status);
	else if (!take_word(&f, out, TOKEN_BYTES_MAX))
		r = fault_set(-EACCES, false, "%s answers with something that is no session token",
			      recipe->from);
	fetch_destroy(&f);
	return r;
}

/* GET below ROLES; the answer is f's. */
static int get(const struct recipe *recipe, const atomic_bool *stop, const char *token,
	       const char *name, struct fetch *f)
{
	char url[sizeof(recipe->url) + 64 + ROLE_BYTES_MAX], line[TOKEN_BYTES_MAX + 32];
	const char *headers[] = {line, NULL};
	int r;

	snprintf(url, sizeof(url), "%s" ROLES "%s", recipe->url, name);
	snprintf(line, sizeof(line), "X-aws-ec2-metadata-token: %s", token);
	*f = (struct fetch){.method = "GET",
			    .url = url,
			    .headers = headers,
			    .direct = true,
			    .connect_timeout_ms = FIRST_MS,
			    .timeout_ms = ANSWER_MS,
			    .attempts = 1,
			    .stop = stop};
	r = fetch_run(f);
	f->url = NULL;
	f->headers = NULL;
	explicit_bzero(line, sizeof(line));
	if (r)
		return no_answer(recipe, r, f);
	if (f->status == 200)
		return 0;
	if (f->status == 404)
		return fault_set(-EACCES, false, "%s: no role is attached to this instance",
				 recipe->from);
	return fault_set(f->status >= 500 ? -EHOSTDOWN : -EACCES, f->status >= 500,
			 "%s gives no key (HTTP %d)", recipe->from, f->status);
}

static bool is_role(const char *name)
{
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "+=,.@_-") == strlen(name);
}

int instance_get(const struct recipe *recipe, const atomic_bool *stop, struct credentials *out)
{
	char token[TOKEN_BYTES_MAX], role[ROLE_BYTES_MAX] = "";
	struct fetch f = {.answer = NULL};
	int r = get_token(recipe, stop, token);

	if (r)
		return r;
	r = get(recipe, stop, token, "", &f);
	if (r == 0 && (!take_word(&f, role, sizeof(role)) || !is_role(role)))
		r = fault_set(-EACCES, false, "%s answers with something that is no name of a role",
			      recipe->from);
	fetch_destroy(&f);
	if (r == 0) {
		r = get(recipe, stop, token, role, &f);
		if (r == 0)
			r = answers_json(f.answer, f.length, ANSWERS_SERVICE, recipe->from, out);
		fetch_destroy(&f);
	}
	explicit_bzero(token, sizeof(token));
	return r;
}
