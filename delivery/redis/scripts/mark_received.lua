#!lua
-- mark_received.lua marks a message that others have sent. It is refused when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     'receiving', 'received' or 'not'; token of whoever receives the message; for how long the
--          mark lasts in ms; then for each guard: "<message>:<guard>"
-- Result   now in ms, 'marked'; or what refuses it: 'received' or 'receiving'

local now = now_ms()
local as, token, ends = ARGV[1], ARGV[2], string.format('%.0f', now + ARGV[3])
local marks = {}
for i = 4, #ARGV do
  local key = received_key(ARGV[i])
  marks[key] = read('GET', key) or ''
end
if as == 'receiving' then
  local other = false
  for _, mark in pairs(marks) do
    if mark == 'received' then return reply({ now, 'received' }) end
    other = other or (mark ~= '' and mark ~= token)
  end
  if other then return reply({ now, 'receiving' }) end
end
for key, mark in pairs(marks) do
  if as == 'receiving' then
    write('SET', key, token, 'PXAT', ends)
  elseif as == 'not' then
    if mark == token then write('UNLINK', key) end
  elseif mark ~= 'received' or read('PEXPIRETIME', key) < tonumber(ends) then
    write('SET', key, 'received', 'PXAT', ends)
  end
end
return reply({ now, 'marked' })
