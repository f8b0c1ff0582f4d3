/* One curl easy handle an attempt; nothing is kept between them.
 *
 * Curl asks progress() about once a second, and oftener while something moves: that is how soon a
 * stop is seen. The answer goes into one piece of memory of the largest size allowed, so that no
 * copy of a secret is left behind by growing it. */
#include "fetch.h"
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "answers.h"

enum { PAUSE_MS = 200 };

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	size_t length = size * count;

	if (length > ANSWERS_BYTES_MAX - f->length)
		return 0;
	memcpy(f->answer + f->length, bytes, length);
	f->length += length;
	f->answer[f->length] = '\0';
	return length;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct fetch *f = arg;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(f->stop) ? 1 : 0;
}

static void set_options(CURL *e, struct fetch *f)
{
	const char *ca_file = getenv("AWS_CA_BUNDLE");

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)f->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)f->timeout_ms);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)ANSWERS_BYTES_MAX);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(e, CURLOPT_XFERINFODATA, f);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->why);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "tootfs");
	if (f->direct)
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	if (ca_file && *ca_file)
		curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
	if (f->body)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, f->body);
	else if (strcmp(f->method, "PUT") == 0)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, ""); /* with Content-Length: 0 */
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, f->method);
}

static int result(struct fetch *f, CURL *e, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
	f->status = (int)status;
	if (code != CURLE_OK && !f->why[0])
		snprintf(f->why, sizeof(f->why), "%s", curl_easy_strerror(code));
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	case CURLE_WRITE_ERROR:
	case CURLE_FILESIZE_EXCEEDED:
		snprintf(f->why, sizeof(f->why), "the answer is longer than any answer should be");
		return -EPROTO;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_PEER_FAILED_VERIFICATION:
		return -EPROTO;
	default:
		return -EHOSTDOWN;
	}
}

static int attempt(struct fetch *f)
{
	struct curl_slist *headers = NULL;
	CURL *e = curl_easy_init();
	int r = e ? 0 : -ENOMEM;

	f->status = 0;
	f->length = 0;
	f->why[0] = '\0';
	for (size_t i = 0; r == 0 && f->headers && f->headers[i]; i++) {
		struct curl_slist *longer = curl_slist_append(headers, f->headers[i]);

		if (longer)
			headers = longer;
		else
			r = -ENOMEM;
	}
	if (r == 0) {
		set_options(e, f);
		curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
		if (curl_easy_setopt(e, CURLOPT_URL, f->url) != CURLE_OK)
			r = -ENOMEM;
	}
	if (r == 0)
		r = result(f, e, curl_easy_perform(e));
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, NULL);
	for (struct curl_slist *h = headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(headers);
	curl_easy_cleanup(e);
	return r;
}

static bool is_passing(const struct fetch *f, int r)
{
	return r == -EHOSTDOWN || (r == 0 && (f->status == 429 || f->status >= 500));
}

int fetch_run(struct fetch *f)
{
	int r = -EHOSTDOWN;

	f->answer = malloc(ANSWERS_BYTES_MAX + 1);
	if (!f->answer)
		return -ENOMEM;
	f->answer[0] = '\0';
	for (unsigned i = 0; i < f->attempts && is_passing(f, r); i++) {
		if (i > 0)
			poll(NULL, 0, PAUSE_MS << i);
		r = atomic_load(f->stop) ? -ECANCELED : attempt(f);
	}
	return r;
}

void fetch_destroy(struct fetch *f)
{
	if (f->answer)
		explicit_bzero(f->answer, ANSWERS_BYTES_MAX + 1);
	free(f->answer);
	f->answer = NULL;
	f->length = 0;
	f->status = 0;
}
