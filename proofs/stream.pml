/*
 * One direction of a stream: a writer, a reader, how they wait for each other, and how it ends.
 *
 * Follows ring/{producer,consumer}.rs, wait/sleep.rs and endpoint/{read,write}.rs in slipring/src.
 * The other direction is the mirror image and shares nothing with this one but the link. Checked by
 * ci/promela.sh.
 *
 * The checks, for every interleaving of streams of up to N bytes through a ring of CAP:
 *
 *   integrity      the bytes read are a prefix of the bytes written (assertions on the bytes);
 *   nothing lost   a reader that sees the end, or a hang-up, has seen everything that was published
 *                  before it (assertions);
 *   the right end  a half that leaves in order is not taken for dead, nor a dead half for one that
 *                  left (assertions);
 *   no deadlock    and no lost wake-up: a half that sleeps on although it could go on is an invalid
 *                  end state.
 *
 * Each half wants any number of bytes up to CAP, time and again; waits in any of the ways that the
 * library has (it sleeps, or polls in an event loop, or polls by itself again and again); may give
 * up waiting; may leave; may be killed at any point.
 *
 * Each process has a store buffer, as on x86 (TSO), so that a missing fence shows. Steps between
 * which nobody else could notice anything are one (atomic): a load of the other side's begins each.
 * With -DX, for each X that stands in an #ifdef below, something is left out, and a check fails.
 */

#ifndef N
#define N 3             /* bytes of the stream */
#endif
#ifndef CAP
#define CAP 2           /* bytes of the ring */
#endif
#ifndef STORES
#define STORES 2        /* entries of a store buffer */
#endif
#ifndef SPURIOUS
/* Rings that nobody meant. Bounded: one more could always make up for one that was lost. */
#define SPURIOUS 1
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1      /* sleeps that a half gives up. Bounded for the same reason */
#endif
#ifndef DEATHS
#define DEATHS 1        /* processes that are killed */
#endif

/* The shared words. Each has one writer, which never reads it back: no load has to search its own
 * buffer. */
#define TAIL         0
#define FIN          1
#define WAKE_AT_HEAD 2  /* the writer sleeps until `head` reaches this; 0 = awake */
#define HEAD         3
#define STOP         4
#define WAKE_AT_TAIL 5  /* the reader sleeps until `tail` reaches this; 0 = awake */
#define BYTES        6
byte mem[BYTES + CAP];
chan writers = [STORES] of { byte, byte };
chan readers = [STORES] of { byte, byte };

/* The kernel's state: the edges that lie in each half's epoll set, and the hang-ups of the link. */
bit bell_w, bell_r, link_w, link_r;
bit hung_w, hung_r;

/* The state of the checks. No process reads it, except for the writer that has finished itself. */
byte published;
bit finished, stopped;
byte deaths = DEATHS, timeouts = TIMEOUTS;
#ifdef BELL_FORGETS
bit asleep_w, asleep_r;
#endif

mtype = { ready, pending, starving, ended, gone, late };

#define store(buffer, word, value) buffer!word,value
#define fence(buffer) empty(buffer)

/* Stands before everything that the other side could notice. */
#define mortal if :: deaths > 0 -> deaths--; goto killed :: true fi

/* The lock in an eventfd orders everything stored before a wake-up before the end of the sleep that
 * it ends. */
#ifdef BELL_FORGETS
#define woken(doorbell, asleep) if :: asleep -> doorbell = 1 :: else fi
#define goes_to_sleep(asleep) asleep = 1
#define wakes_up(asleep) asleep = 0
#else
#define woken(doorbell, asleep) doorbell = 1
#define goes_to_sleep(asleep) skip
#define wakes_up(asleep) skip
#endif
#define ring_if(yes, buffer, doorbell, asleep) \
	if :: yes -> atomic { yes = 0; mortal; empty(buffer); woken(doorbell, asleep) } :: else fi

/* Takes all edges out of a set; the link's is remembered. */
#define take_out(doorbell, link, known) doorbell = 0; if :: link -> link = 0; known = 1 :: else fi

/* Drains the buffers, each in order, whenever it likes. */
active proctype Memory() {
	byte word, value;
end:	do
	:: atomic { writers?word,value -> mem[word] = value; word = 0; value = 0 }
	:: atomic { readers?word,value -> mem[word] = value; word = 0; value = 0 }
	od
}

/* Events from outside: wake-ups that nobody meant (left over from a withdrawal, or a peer's play);
 * and the point from which on nobody dies or gives up, for a sleeper that still could would hide a
 * deadlock. */
active proctype Fate() {
	byte rings = SPURIOUS;
end:	do
	:: atomic { rings > 0 -> rings--; if :: bell_w = 1 :: bell_r = 1 :: true fi }
	:: atomic { deaths > 0 -> deaths = 0 }
	:: atomic { timeouts > 0 -> timeouts = 0 }
	od
}

/* ---------------------------------------------------------------------- the writer */

#define room (CAP - (tail - head))

/* `WriteHalf::poll`, `Producer::poll`. */
inline look_w() {
	atomic {
		if :: hung_r -> dead = 1 :: true fi;
		if
		:: mem[STOP] != 0 -> found = ended
		:: else -> if :: dead -> found = gone :: else -> found = pending fi
		fi
	};
	if
	:: found != pending
	:: atomic { found == pending -> head = mem[HEAD]; if :: room >= want -> found = ready :: else fi };
		if
		:: found == ready || room == 0
		:: atomic { else -> if :: mem[WAKE_AT_TAIL] > tail -> found = starving :: else fi };
			if
			:: found == pending
			:: else -> look_closer_w()
			fi
		fi
	fi
}

/* The reader seems to starve. But the head may be older than its wake word; and a dead reader's
 * wake word still says what it waited for. One that left has said so before it hung up. */
inline look_closer_w() {
	atomic { head = mem[HEAD]; if :: room >= want -> found = ready :: else fi };
#ifdef HANG_UP_AFTER_STOP
	if :: found == starving && hung_r -> found = gone :: else fi;
#else
	atomic {
		if
		:: found == starving && hung_r ->
			dead = 1;
			if :: mem[STOP] != 0 -> found = ended :: else -> found = gone fi
		:: else
		fi
	};
#endif
#ifdef NO_STARVING_RULE
	if :: found == starving -> found = pending :: else fi;
#endif
	/* `look_drained`: after `finish` a reader that waits for more finds the end; it has been woken
	 * for it. */
	if :: found == starving && finished -> found = pending :: else fi
}

inline arm_w() {
	atomic { mortal; store(writers, WAKE_AT_HEAD, tail + want - CAP) };
#ifndef NO_WRITER_ARM_FENCE
	fence(writers)
#endif
}

inline disarm_w() {
	atomic { armed = 0; store(writers, WAKE_AT_HEAD, 0) }
}

/* `wait::sleep`. */
inline sleep_w() {
#ifdef LOOK_BEFORE_ARM
	look_w(); arm_w();
#else
	arm_w(); look_w();
#endif
	do
	:: found != pending -> break
	:: atomic { found == pending -> goes_to_sleep(asleep_w) };
		if
		:: atomic { bell_w || link_w -> wakes_up(asleep_w); take_out(bell_w, link_w, dead) }; look_w()
		:: atomic { timeouts > 0 -> wakes_up(asleep_w); timeouts-- }; look_w();
			if :: found == pending -> found = late :: else fi
		:: atomic { deaths > 0 -> deaths--; goto killed }
		fi
	od;
	disarm_w()
}

/* `wait::prepare`, then poll(2), then the operation again. */
inline poll_w() {
#ifndef DRAIN_AFTER_LOOK
	atomic { take_out(bell_w, link_w, dead) };
#endif
	arm_w(); look_w();
#ifdef DRAIN_AFTER_LOOK
	atomic { take_out(bell_w, link_w, dead) };
#endif
	if
	:: found != pending -> disarm_w()
	:: found == pending ->
		armed = 1;
		if
		:: bell_w || link_w -> found = late
		:: atomic { deaths > 0 -> deaths--; goto killed }
		fi
	fi
}

/* Polls again and again. A poll that finds nothing new changes nothing, so this goes on with the
 * first that does. */
inline ask_w() {
	(mem[STOP] != 0 || mem[HEAD] != head || (room > 0 && mem[WAKE_AT_TAIL] > tail) || hung_r);
	found = late
}

/* Writes some of what fits, as `copy_in` and `Producer::publish`. */
inline put() {
	atomic {
		select (n : 1 .. (room < N - tail -> room : N - tail));
		mortal;
		if :: armed -> disarm_w() :: else fi;
#ifdef TAIL_BEFORE_BYTES
		store(writers, TAIL, tail + n);
#endif
		i = 0;
		do
		:: i < n -> store(writers, BYTES + (tail + i) % CAP, tail + i + 1); i++
		:: else -> break
		od;
		i = 0;
#ifndef TAIL_BEFORE_BYTES
		store(writers, TAIL, tail + n);
#endif
		tail = tail + n;
		published = tail
	};
	atomic {
#ifndef NO_PUBLISH_FENCE
		fence(writers);
#endif
		rings = (mem[WAKE_AT_TAIL] > tail - n && mem[WAKE_AT_TAIL] <= tail);
		n = 0
	};
	ring_if(rings, writers, bell_r, asleep_r)
}

/* `wait::end` for `fin`. */
inline finish() {
	atomic {
		mortal;
#ifdef HANG_UP_BEFORE_FIN
		empty(writers); hung_w = 1; link_r = 1;
#endif
		store(writers, FIN, 1);
		finished = 1
	};
	atomic {
#ifndef NO_END_FENCE
		fence(writers);
#endif
#ifdef END_BY_FORMULA
		rings = (mem[WAKE_AT_TAIL] > tail && mem[WAKE_AT_TAIL] <= tail)
#else
		rings = (mem[WAKE_AT_TAIL] != 0)
#endif
	};
	ring_if(rings, writers, bell_r, asleep_r)
}

active proctype Writer() {
	byte tail, head, want, n, i;
	bit dead, armed, rings;
	mtype found;

	do
	:: !finished -> finish()
	:: finished -> break
	:: atomic { finished || tail < N ->
		/* After `finish` it may wait until all is consumed. */
		if :: finished -> want = CAP :: else -> select (want : 1 .. CAP) fi;
		found = ready };
		if
		:: room < want ->
			look_w();
			if
			:: found == pending -> if :: sleep_w() :: poll_w() :: true -> ask_w() fi
			:: else
			fi
		:: else
		fi;
		atomic { want = 0; assert(found != ended || stopped); assert(found != gone || !stopped) };
		if
		:: found == late
		:: found == ended || found == gone -> break
		:: found == ready || found == starving -> if :: finished -> break :: else -> put() fi
		fi
	od;
	if :: !finished -> finish() :: else fi;
	/* It may have finished and live on. */
	if :: goto killed :: goto left fi;
killed:	atomic { empty(writers) -> hung_w = 1; link_r = 1 };
left:	skip
}

/* ---------------------------------------------------------------------- the reader */

#define available (tail - head)

/* `ReadHalf::poll`, `Consumer::poll`. */
inline look_r() {
#ifdef HANG_UP_AFTER_FIN
	fin = mem[FIN];
	tail = mem[TAIL];
	if :: hung_w -> dead = 1 :: true fi;
#else
#ifdef FIN_AFTER_TAIL
	atomic { if :: hung_w -> dead = 1 :: true fi; tail = mem[TAIL] };
	fin = mem[FIN];
#else
	atomic { if :: hung_w -> dead = 1 :: true fi; fin = mem[FIN] };
	tail = mem[TAIL];
#endif
#endif
	atomic {
		if
		:: available >= want -> found = ready
		:: else ->
			if
			:: fin -> found = ended
			:: else -> if :: dead -> found = gone :: else -> found = pending fi
			fi
		fi;
		fin = 0
	}
}

inline arm_r() {
	atomic { mortal; store(readers, WAKE_AT_TAIL, head + want) };
#ifndef NO_READER_ARM_FENCE
	fence(readers)
#endif
}

inline disarm_r() {
	atomic { armed = 0; store(readers, WAKE_AT_TAIL, 0) }
}

/* `Consumer::blocks_writer`. */
inline nudge_r() {
#ifdef NO_NUDGE
	skip
#else
	rings = (mem[WAKE_AT_HEAD] > head);
	ring_if(rings, readers, bell_w, asleep_w)
#endif
}

inline sleep_r() {
#ifdef LOOK_BEFORE_ARM
	look_r(); arm_r();
#else
	arm_r(); look_r();
#endif
	if :: found == pending -> nudge_r() :: else fi;
	do
	:: found != pending -> break
	:: atomic { found == pending -> goes_to_sleep(asleep_r) };
		if
		:: atomic { bell_r || link_r -> wakes_up(asleep_r); take_out(bell_r, link_r, dead) }; look_r()
		:: atomic { timeouts > 0 -> wakes_up(asleep_r); timeouts-- }; look_r();
			if :: found == pending -> found = late :: else fi
		:: atomic { deaths > 0 -> deaths--; goto killed }
		fi
	od;
	disarm_r()
}

inline poll_r() {
#ifndef DRAIN_AFTER_LOOK
	atomic { take_out(bell_r, link_r, dead) };
#endif
	arm_r(); look_r();
#ifdef DRAIN_AFTER_LOOK
	atomic { take_out(bell_r, link_r, dead) };
#endif
	if
	:: found != pending -> disarm_r()
	:: found == pending ->
		nudge_r();
		armed = 1;
		if
		:: bell_r || link_r -> found = late
		:: atomic { deaths > 0 -> deaths--; goto killed }
		fi
	fi
}

/* With something there, but too little, `ReadWait::give_up` leaves it armed. */
inline ask_r() {
#ifndef NO_GIVE_UP
	if :: available > 0 -> arm_r(); armed = 1; nudge_r() :: else fi;
#endif
	(mem[FIN] != 0 || mem[TAIL] != tail || hung_w);
	found = late
}

/* Checks the next bytes. In one step, which comes anywhere between the poll that found them and
 * their consumption. */
inline check() {
	d_step {
		i = 0;
		do
		:: i < n -> assert(mem[BYTES + (head + i) % CAP] == head + i + 1); i++
		:: else -> break
		od;
		i = 0
	}
}

/* Reads `n` bytes, as `copy_out` and `Consumer::consume`. */
inline take() {
#ifndef HEAD_BEFORE_BYTES
	check();
#endif
	atomic {
		mortal;
		if :: armed -> disarm_r() :: else fi;
		store(readers, HEAD, head + n)
	};
#ifdef HEAD_BEFORE_BYTES
	check();
#endif
	head = head + n;
	atomic {
#ifndef NO_CONSUME_FENCE
		fence(readers);
#endif
		rings = (mem[WAKE_AT_HEAD] > head - n && mem[WAKE_AT_HEAD] <= head);
		n = 0
	};
	ring_if(rings, readers, bell_w, asleep_w)
}

/* `wait::end` for `stop`. */
inline stop() {
	atomic {
		mortal;
		store(readers, STOP, 1);
		stopped = 1
	};
	atomic {
#ifndef NO_END_FENCE
		fence(readers);
#endif
#ifdef END_BY_FORMULA
		rings = (mem[WAKE_AT_HEAD] > head && mem[WAKE_AT_HEAD] <= head)
#else
		rings = (mem[WAKE_AT_HEAD] != 0)
#endif
	};
	ring_if(rings, readers, bell_w, asleep_w)
}

active proctype Reader() {
	byte tail, head, want, n, i;
	bit dead, armed, fin, rings;
	mtype found;

	do
	:: break
	:: atomic { true -> select (want : 1 .. CAP); found = ready };
		if
		:: available < want ->
			look_r();
			if
			:: found == pending -> if :: sleep_r() :: poll_r() :: true -> ask_r() fi
			:: else
			fi
		:: else
		fi;
		atomic {
			want = 0;
			assert(found != ended || (finished && tail == published));
			assert(found != gone || (!finished && tail == published))
		};
		if
		:: found == late
		:: found == ended || found == gone -> break
		:: atomic { found == ready -> select (n : 1 .. available) }; take()
		fi
	od;
	/* The remaining bytes are read, or not. */
	if :: available > 0 -> n = available; check(); n = 0 :: else fi;
	stop();
	if :: goto killed :: goto left fi;
killed:	atomic { empty(readers) -> hung_r = 1; link_w = 1 };
left:	skip
}
