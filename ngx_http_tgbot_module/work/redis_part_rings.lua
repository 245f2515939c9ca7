-- Part of the scripts: which of the last "window" update_ids are accepted.  A
-- bot has two rings of bits, KEYS[2] and KEYS[3].  An id far from the current
-- ids opens the other ring, and the current ring is kept.
--
-- The scripts read window, top1, top2 and last of meta.  The window that stands
-- in meta is used, whatever the caller says, until no ring is in use.  An id
-- beyond 2^53 has no bit: it is never a duplicate.

local ring = {}


local function ring_init(window)
  if not meta.top1 and not meta.top2 then
    meta.window = window
  end

  ring[1] = meta.top1
  ring[2] = meta.top2
end


-- the ring whose top is nearest to the id and less than a window away, or nil

local function ring_near(id)
  local near, least = nil, meta.window

  for n = 1, 2 do
    if ring[n] and math.abs(id - ring[n]) < least then
      near, least = n, math.abs(id - ring[n])
    end
  end

  return near
end


local function ring_has(id)
  for n = 1, 2 do
    if ring[n] and id <= ring[n] and ring[n] - id < meta.window
       and redis.call('GETBIT', KEYS[1 + n], int(id % meta.window)) == 1
    then
      return true
    end
  end

  return false
end


-- clears the bits of the ids "from" to "to", both included

local function ring_clear(key, from, to)
  if from > to then
    return
  end

  local a, b = from % meta.window, to % meta.window

  if a > b then
    ring_clear(key, from, from + meta.window - 1 - a)
    ring_clear(key, to - b, to)
    return
  end

  while a <= b and a % 8 > 0 do
    redis.call('SETBIT', key, a, 0)
    a = a + 1
  end

  while a <= b and b % 8 < 7 do
    redis.call('SETBIT', key, b, 0)
    b = b - 1
  end

  if a <= b then
    redis.call('SETRANGE', key, a / 8, string.rep('\0', (b - a + 1) / 8))
  end
end


-- If the id is far from both rings, the ring that did not move last, or one
-- that is not in use, starts at the id.  Returns 1 if a ring was in use.

local function ring_reach(id)
  if ring_near(id) then
    return 0
  end

  local n = meta.last or 1
  local rebased = (ring[1] or ring[2]) and 1 or 0

  if ring[n] then
    n = 3 - n
  end

  redis.call('DEL', KEYS[1 + n])
  ring[n] = id
  meta_set('top' .. n, id)
  meta_set('window', meta.window)

  return rebased
end


-- Marks the id as accepted, after ring_reach().  A ring counts as current only
-- when an id moves it: a single forged id opens a ring, but does not move it.

local function ring_mark(id)
  local n = ring_near(id)

  if id > ring[n] then
    ring_clear(KEYS[1 + n], ring[n] + 1, id - 1)
    ring[n] = id
    meta_set('top' .. n, id)

    if meta.last ~= n then
      meta_set('last', n)
    end
  end

  redis.call('SETBIT', KEYS[1 + n], int(id % meta.window), '1')
end
