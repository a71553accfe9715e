# The Rack application that puma's workers load.
CHUNKS = 10
CHUNK = 160

# Many at a time: one by one they would take longer than the server's start.
def lines(count)
  ends = (0...4096).map { |i| format("%03x\n", i) }
  beginnings = (0..count / (16 * 4096)).map { |i| format('%012x', i) }
  beginnings.map { |b| b + ends.join(b) }.join[0, count]
end

SMALL = lines(64)
BIG = lines(8 << 20)
STREAM = lines(CHUNKS * CHUNK)

# The body of /stream: puma chunks what says no length.
class Stream
  def initialize(milliseconds)
    @pause = milliseconds / 1000.0 / CHUNKS
  end

  def each
    CHUNKS.times do |i|
      yield STREAM[i * CHUNK, CHUNK]
      sleep @pause
    end
  end
end

def answer(status, body)
  [status, { 'Content-Length' => body.bytesize.to_s }, [body]]
end

def uploaded(input)
  count = 0
  while (data = input.read(65_536))
    count += data.bytesize
  end
  "#{count}\n"
end

run(lambda do |env|
  milliseconds = env['QUERY_STRING'][/ms=(\d+)/, 1].to_i
  case env['PATH_INFO']
  when '/' then answer(200, SMALL)
  when '/sleep'
    sleep milliseconds / 1000.0
    answer(200, SMALL)
  when '/big' then answer(200, BIG)
  when '/stream' then [200, {}, Stream.new(milliseconds)]
  when '/upload' then answer(200, uploaded(env['rack.input']))
  when '/status/204' then [204, {}, []]
  when '/status/304' then [304, { 'ETag' => '"e2e"' }, []]
  when '/close-tokens' then [200, { 'Content-Length' => '64', 'Connection' => 'keep-alive, foo' }, [SMALL]]
  else answer(404, SMALL)
  end
end)
