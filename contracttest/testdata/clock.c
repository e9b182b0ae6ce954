// A library that a program loads before all others, and that moves its clock by
// as many seconds as the environment variable CLOCK_AHEAD says. Redis reads its
// clock by gettimeofday alone.

#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int moved(struct timeval *tv) {
	struct timespec now;
	const char *ahead = getenv("CLOCK_AHEAD");
	if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
	tv->tv_sec = now.tv_sec + (ahead ? atol(ahead) : 0);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

#ifdef __APPLE__

static int replacement(struct timeval *tv, void *zone) { return moved(tv); }

__attribute__((used, section("__DATA,__interpose"))) static struct {
	const void *by, *instead_of;
} interpose = {replacement, gettimeofday};

#else

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
	(void)zone;
	return moved(tv);
}

#endif
