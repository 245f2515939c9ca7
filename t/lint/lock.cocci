// a function returns, and leaves a mutex of shared memory locked

@l exists@
expression m;
position p, q;
@@
 ngx_shmtx_lock@p(m);
 ... when != ngx_shmtx_unlock(m)
 return@q ...;

@script:python@
p << l.p;
q << l.q;
m << l.m;
@@
print("%s:%s: [lock] return with %s held since line %s"
      % (q[0].file, q[0].line, m, p[0].line))
