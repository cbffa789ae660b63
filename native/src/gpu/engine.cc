// SPDX-License-Identifier: MIT
// Callers' side of the engine, and the thread that has the device.
#include "gpu/engine.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>

#include "gpu/session.h"
#include "shm/cleanup.h"

namespace tilecast::gpu {
namespace {

using Clock = std::chrono::steady_clock;

// While the device is at work and may take more, the thread looks this often whether there is more.
// What comes meanwhile waits no longer than for the device anyway.
constexpr uint64_t kLookNs = 200'000;
// The longest that one wait for the device lasts: nothing depends on it.
constexpr uint64_t kLongWaitNs = 1'000'000'000;
constexpr uint64_t kTrimEvery = 256;  // submits

double SecondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

Error Closed() {
  return Error(Code::kGpuFailed, "the GPU engine was closed");
}

bool Overlap(const Plane& a, const Plane& b) {
  return a.data < b.data + b.bytes() && b.data < a.data + a.bytes();
}

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(const EngineOptions& options);
  ~EngineImpl() override;

  const AdapterFacts& facts() const override { return facts_; }
  PlaneAccess access() const override { return access_.load(); }
  EngineStats stats() const override;
  void Register(HostMemory memory) override { regions_.Add(std::move(memory)); }
  void Forget(const std::byte* base) override;
  void Run(Request& request) override;
  void Close() override;
  void LoseDevice() override;

 private:
  enum class State : uint8_t { kWaiting, kDone, kFailed, kAgain, kLost };
  struct Caller : Ticket {
    uint64_t device = 0;  // the number of the device that it was staged for
    State state = State::kWaiting;
    std::condition_variable changed;
  };
  // What a caller wants of the thread that is no request.
  struct Wish {
    uint64_t bytes = 0;                 // a staging buffer
    const std::byte* forget = nullptr;  // or a region to let go of
    Staging* staging = nullptr;
    std::optional<Error> error;
    bool done = false;
    std::condition_variable changed;
  };

  std::shared_ptr<const PreparedRecipe> PreparedOf(const std::shared_ptr<const Recipe>& recipe);
  void PlacePlanes(Caller& caller, bool stage_all);
  bool StageInputs(Caller& caller);
  void Fetch(Caller& caller, Request& request);
  Staging* AwaitStaging(uint64_t bytes, uint64_t device);

  void Loop();
  bool TakeWork(std::vector<Caller*>& next, bool& lose);
  void CompleteFirst(uint64_t timeout_ns);
  void OpenSession();
  bool EnsureSession();
  void Grant(Wish& wish);
  void SubmitNext(const std::vector<Caller*>& next);
  void Complete(Batch& batch);
  void Lose();
  void DropSession();
  void Finish(Caller& caller, State state, std::optional<Error> error = {});
  void FailAll(const Error& error);
  void TakeStats();

  const EngineOptions options_;
  const pid_t pid_ = getpid();
  HostRegions regions_;
  AdapterFacts facts_;  // of the first device
  std::atomic<PlaneAccess> access_{PlaneAccess::kStage};

  mutable std::mutex mutex_;
  std::condition_variable work_;  // for the thread
  std::condition_variable idle_;  // mapped memory was given back, or the thread began or ended
  std::deque<Caller*> queue_;
  std::deque<Wish*> wishes_;
  std::vector<Staging*> returned_;  // read, and to be unmapped
  int mapped_ = 0;                  // staging buffers whose memory callers use
  uint64_t device_number_ = 0;      // raised when a device is lost
  bool opened_ = false, closing_ = false, ended_ = false, lose_ = false;
  std::optional<Error> open_error_;
  EngineStats stats_;
  struct Known {
    std::weak_ptr<const Recipe> recipe;
    std::shared_ptr<const PreparedRecipe> prepared;
  };
  std::unordered_map<const Recipe*, Known> prepared_;

  // The thread's.
  std::unique_ptr<Session> session_;
  std::deque<Batch> in_flight_;
  EngineStats past_;  // of devices that are gone
  uint64_t submits_ = 0;
  std::optional<Error> lost_for_good_;

  std::mutex close_mutex_;
  std::thread thread_;
};

// -------------------------------------------------------------------------------- callers' threads

// Engines that an exiting process has to close before Dawn's library is torn down.
struct OpenEngines {
  std::mutex mutex;
  std::vector<std::weak_ptr<Engine>> engines;
};
OpenEngines& AllEngines() {
  static auto& all = *new OpenEngines;
  return all;
}
void CloseAll() {
  std::vector<std::weak_ptr<Engine>> engines;
  {
    const std::lock_guard lock(AllEngines().mutex);
    engines.swap(AllEngines().engines);
  }
  for (const auto& weak : engines) {
    if (const auto engine = weak.lock()) engine->Close();
  }
}

EngineImpl::EngineImpl(const EngineOptions& options) : options_(options) {
  // The thread's first work: the device is its own from the beginning.
  thread_ = std::thread([this] { Loop(); });
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return opened_; });
  if (!open_error_) return;
  lock.unlock();
  thread_.join();
  throw *open_error_;
}

EngineImpl::~EngineImpl() {
  Close();
}

void EngineImpl::Close() {
  // After a fork there is no thread, and nothing of the device is this process's.
  if (getpid() != pid_) {
    if (thread_.joinable()) thread_.detach();
    return;
  }
  const std::lock_guard closing(close_mutex_);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EngineImpl::LoseDevice() {
  const std::lock_guard lock(mutex_);
  lose_ = true;
}

EngineStats EngineImpl::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

std::shared_ptr<const PreparedRecipe> EngineImpl::PreparedOf(
    const std::shared_ptr<const Recipe>& recipe) {
  constexpr size_t kMostKnown = 1024;
  {
    const std::lock_guard lock(mutex_);
    const auto found = prepared_.find(recipe.get());
    // The address of a recipe that is gone may be another one's now.
    if (found != prepared_.end() && found->second.recipe.lock() == recipe) {
      return found->second.prepared;
    }
  }
  auto prepared = std::make_shared<const PreparedRecipe>(Prepare(*recipe));
  const std::lock_guard lock(mutex_);
  if (prepared_.size() >= kMostKnown) {
    std::erase_if(prepared_, [](const auto& known) { return known.second.recipe.expired(); });
    if (prepared_.size() >= kMostKnown) prepared_.clear();
  }
  prepared_[recipe.get()] = {recipe, prepared};
  return prepared;
}

void CheckPlanes(const Request& request, const PreparedRecipe& prepared) {
  const auto check = [&](const std::vector<Plane>& planes, const std::vector<int>& buffers,
                         const char* what) {
    if (planes.size() != buffers.size()) {
      throw Error(Code::kInvalidArgument, "the GPU recipe has " + std::to_string(buffers.size()) +
                                              " " + what + "s, got " +
                                              std::to_string(planes.size()));
    }
    for (size_t n = 0; n < planes.size(); ++n) {
      const Plane& p = planes[n];
      const uint64_t wanted = request.recipe->buffers[static_cast<size_t>(buffers[n])].bytes;
      const std::string name = std::string(what) + " " + std::to_string(n);
      if (p.data == nullptr || !p.contiguous()) {
        throw Error(Code::kInvalidArgument, name + " of a GPU request must be a packed plane");
      }
      if (PlaneBytes(p.dtype, p.height, p.width) != wanted) {
        throw Error(Code::kInvalidArgument,
                    name + " of a GPU request must have " + std::to_string(wanted) +
                        " bytes, rounded up to words; got " + std::to_string(p.bytes()));
      }
    }
  };
  check(request.inputs, prepared.inputs, "input");
  check(request.outputs, prepared.outputs, "output");
  for (size_t a = 0; a < request.outputs.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (Overlap(request.outputs[a], request.outputs[b])) {
        throw Error(Code::kInvalidArgument, "two outputs of a GPU request lie in the same memory");
      }
    }
  }
}

// Decides of each plane how it gets to the device, and lays out what is staged.
void EngineImpl::PlacePlanes(Caller& caller, bool stage_all) {
  const Request& request = *caller.request;
  const PreparedRecipe& prepared = *caller.prepared;
  const PlaneAccess access = stage_all ? PlaneAccess::kStage : access_.load();
  const auto place = [&](const Plane& plane, int buffer, uint64_t& staged) {
    PlanePlace to;
    const uint64_t bytes = request.recipe->buffers[static_cast<size_t>(buffer)].bytes;
    if (access != PlaneAccess::kStage && regions_.Find(plane.data, bytes, to.host)) {
      to.way = access;
    } else {
      to.staged = staged;
      staged += (bytes + 15) / 16 * 16;
    }
    return to;
  };
  caller.inputs.clear();
  caller.outputs.clear();
  caller.results.clear();
  caller.up_bytes = caller.down_bytes = 0;
  for (size_t n = 0; n < request.inputs.size(); ++n) {
    caller.inputs.push_back(place(request.inputs[n], prepared.inputs[n], caller.up_bytes));
  }
  for (size_t n = 0; n < request.outputs.size(); ++n) {
    PlanePlace to = place(request.outputs[n], prepared.outputs[n], caller.down_bytes);
    // In its input's slot: staged, so that the input stays as it is until all is well, and that no
    // buffer is bound for reading and for writing.
    const bool over_input =
        to.way != PlaneAccess::kStage &&
        std::any_of(caller.inputs.begin(), caller.inputs.end(), [&](const PlanePlace& in) {
          return in.way != PlaneAccess::kStage && in.host.memory == to.host.memory &&
                 in.host.slot == to.host.slot;
        });
    if (over_input) {
      to.way = PlaneAccess::kStage;
      to.staged = caller.down_bytes;
      caller.down_bytes +=
          (request.recipe->buffers[static_cast<size_t>(prepared.outputs[n])].bytes + 15) / 16 * 16;
    }
    caller.outputs.push_back(to);
  }
  for (const int i : prepared.results) {
    caller.results.push_back(caller.down_bytes);
    caller.down_bytes += (request.recipe->buffers[static_cast<size_t>(i)].bytes + 15) / 16 * 16;
  }
  // A buffer is mapped in units of 8 bytes.
  caller.up_bytes = (caller.up_bytes + 15) / 16 * 16;
}

// A mapped buffer of the device of that number, counted in mapped_; null when the device was lost.
// Throws kGpuFailed.
Staging* EngineImpl::AwaitStaging(uint64_t bytes, uint64_t device) {
  std::unique_lock lock(mutex_);
  if (closing_) throw Closed();
  if (device_number_ != device) return nullptr;
  Wish wish;
  wish.bytes = bytes;
  wishes_.push_back(&wish);
  work_.notify_one();
  wish.changed.wait(lock, [&] { return wish.done; });
  if (wish.error) throw *wish.error;
  if (device_number_ == device) return wish.staging;
  // It goes with its device, which waits for this.
  --mapped_;
  idle_.notify_all();
  return nullptr;
}

bool EngineImpl::StageInputs(Caller& caller) {
  if (caller.up_bytes == 0) return true;
  caller.up = AwaitStaging(caller.up_bytes, caller.device);
  if (caller.up == nullptr) return false;
  for (size_t n = 0; n < caller.inputs.size(); ++n) {
    if (caller.inputs[n].way != PlaneAccess::kStage) continue;
    const Plane& plane = caller.request->inputs[n];
    std::memcpy(caller.up->memory + caller.inputs[n].staged, plane.data,
                static_cast<size_t>(plane.bytes()));
  }
  return true;
}

// Copies what came back out of the mapped memory, on the caller's thread.
void EngineImpl::Fetch(Caller& caller, Request& request) {
  request.results.clear();
  for (size_t n = 0; n < caller.results.size(); ++n) {
    const auto i = static_cast<size_t>(caller.prepared->results[n]);
    const std::byte* from = caller.down->memory + caller.results[n];
    request.results.emplace_back(from, from + request.recipe->buffers[i].bytes);
  }
  const bool wanted = !request.doubtful();
  for (size_t n = 0; n < caller.outputs.size() && wanted; ++n) {
    if (caller.outputs[n].way != PlaneAccess::kStage) continue;
    const Plane& plane = request.outputs[n];
    std::memcpy(plane.data, caller.down->memory + caller.outputs[n].staged,
                static_cast<size_t>(plane.bytes()));
  }
  if (caller.down == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    returned_.push_back(caller.down);
    --mapped_;
  }
  idle_.notify_all();
}

void EngineImpl::Run(Request& request) {
  if (getpid() != pid_) {
    throw Error(Code::kGpuFailed, "a GPU engine cannot be used in a forked child");
  }
  if (!request.recipe) throw Error(Code::kInvalidArgument, "a GPU request has no recipe");
  const auto prepared = PreparedOf(request.recipe);
  CheckPlanes(request, *prepared);
  bool was_lost = false, stage_all = false;
  for (;;) {
    Caller caller;
    caller.request = &request;
    caller.prepared = prepared.get();
    {
      const std::lock_guard lock(mutex_);
      caller.device = device_number_;
    }
    PlacePlanes(caller, stage_all);
    if (!StageInputs(caller)) continue;
    {
      std::unique_lock lock(mutex_);
      if (caller.up != nullptr) {  // the thread's again
        --mapped_;
        idle_.notify_all();
      }
      if (closing_) throw Closed();
      if (caller.device != device_number_) continue;
      queue_.push_back(&caller);
      work_.notify_one();
      caller.changed.wait(lock, [&] { return caller.state != State::kWaiting; });
    }
    switch (caller.state) {
      case State::kDone:
        Fetch(caller, request);
        return;
      case State::kFailed:
        throw *caller.error;
      case State::kAgain:
        stage_all = caller.import_refused;
        break;
      case State::kLost:
        if (was_lost) {
          throw Error(Code::kGpuFailed, "the GPU " + facts_.name + " was lost twice");
        }
        was_lost = true;
        break;
      case State::kWaiting:
        break;
    }
  }
}

void EngineImpl::Forget(const std::byte* base) {
  if (!regions_.Has(base)) return;
  Wish wish;
  wish.forget = base;
  {
    std::unique_lock lock(mutex_);
    if (getpid() == pid_) {
      if (!closing_ && !ended_) {
        wishes_.push_back(&wish);
        work_.notify_one();
        wish.changed.wait(lock, [&] { return wish.done; });
      }
      if (closing_) idle_.wait(lock, [&] { return ended_; });
    }
  }
  regions_.Remove(base);
}

// --------------------------------------------------------------------------------------- the
// thread

void EngineImpl::Finish(Caller& caller, State state, std::optional<Error> error) {
  // Notified under the lock: the caller's condition is gone as soon as it sees its state.
  const std::lock_guard lock(mutex_);
  caller.error = std::move(error);
  caller.state = state;
  if (state == State::kDone && caller.down != nullptr) ++mapped_;
  if (state == State::kDone) ++stats_.requests;
  caller.changed.notify_one();
}

void EngineImpl::FailAll(const Error& error) {
  const std::lock_guard lock(mutex_);
  for (Caller* caller : queue_) {
    caller->error = error;
    caller->state = State::kFailed;
    caller->changed.notify_one();
  }
  queue_.clear();
  for (Wish* wish : wishes_) {
    if (wish->forget == nullptr) wish->error = error;
    wish->done = true;
    wish->changed.notify_one();
  }
  wishes_.clear();
}

void EngineImpl::OpenSession() {
  session_ = std::make_unique<Session>(options_, regions_);
  // At exit the libraries that were loaded for it (Dawn's, the driver's) are torn down after what
  // is registered here: later hooks come first.
  std::atexit(CloseAll);
  const AdapterFacts& facts = session_->device.facts();
  PlaneAccess access = options_.planes;
  if (access == PlaneAccess::kAuto) {
    access = facts.discrete ? PlaneAccess::kCopy : PlaneAccess::kBind;
  }
  access_.store(facts.host_mapped ? access : PlaneAccess::kStage);
}

// False, and why in lost_for_good_, when the device was lost and there is no other.
bool EngineImpl::EnsureSession() {
  if (session_) return true;
  try {
    OpenSession();
    return true;
  } catch (const Error& error) {
    lost_for_good_ =
        Error(Code::kGpuFailed,
              std::string("the GPU was lost, and no other can be had: ") + error.what());
    return false;
  }
}

void EngineImpl::DropSession() {
  if (!session_) return;
  // Callers still copy out of mapped memory, or into it.
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return mapped_ == 0; });
  returned_.clear();
  lock.unlock();
  TakeStats();
  past_ = stats();
  session_.reset();
}

// The device is gone with all that was on it: who was in flight is told, and so is who waits with
// something that was staged for it.
void EngineImpl::Lose() {
  {
    const std::lock_guard lock(mutex_);
    ++stats_.devices_lost;
    ++device_number_;
    const auto tell = [&](Caller& caller, State state) {
      caller.state = state;
      caller.changed.notify_one();
    };
    for (Batch& batch : in_flight_) {
      for (Ticket* ticket : batch.tickets) {
        ++stats_.redone;
        tell(static_cast<Caller&>(*ticket), State::kLost);
      }
    }
    for (Caller* caller : queue_) tell(*caller, State::kAgain);
    queue_.clear();
  }
  in_flight_.clear();
  DropSession();
}

void EngineImpl::TakeStats() {
  const std::lock_guard lock(mutex_);
  const Session& s = *session_;
  stats_.imports = past_.imports + s.imports.made();
  stats_.stale_imports = past_.stale_imports + s.imports.stale();
  stats_.pipelines = past_.pipelines + s.pipelines.compiled();
  stats_.bind_groups = past_.bind_groups + s.pipelines.groups_made();
  stats_.buffers = past_.buffers + s.pool.made() + s.up.made() + s.down.made();
}

void EngineImpl::Grant(Wish& wish) {
  if (wish.forget != nullptr) {
    if (session_) session_->imports.Drop(wish.forget);
  } else if (!EnsureSession()) {
    wish.error = lost_for_good_;
  } else {
    try {
      wish.staging = session_->up.Take(wish.bytes);
    } catch (const Error& error) {
      wish.error = error;
    }
  }
  const std::lock_guard lock(mutex_);
  if (wish.staging != nullptr) ++mapped_;
  wish.done = true;
  wish.changed.notify_one();
}

void EngineImpl::SubmitNext(const std::vector<Caller*>& next) {
  if (!EnsureSession()) {
    for (Caller* caller : next) Finish(*caller, State::kFailed, lost_for_good_);
    return;
  }
  const auto began = Clock::now();
  std::vector<Staging*> read;
  {
    const std::lock_guard lock(mutex_);
    read.swap(returned_);
  }
  for (Staging* staging : read) {
    session_->down.Unmap(*staging);
    session_->down.PutFree(staging);
  }
  const std::vector<Ticket*> tickets(next.begin(), next.end());
  Batch batch;
  try {
    batch = session_->Submit(tickets);
  } catch (const std::exception&) {
    // Of requests only what Submit gives back: the device does not answer any more.
    for (Caller* caller : next) Finish(*caller, State::kLost);
    Lose();
    return;
  }
  EngineStats did;
  for (const Ticket* ticket : batch.tickets) {
    did.passes += ticket->prepared->layouts.size();
    did.bytes_up += ticket->up_bytes;
    did.bytes_down += ticket->down_bytes;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.passes += did.passes;
    stats_.bytes_up += did.bytes_up;
    stats_.bytes_down += did.bytes_down;
    stats_.submits += batch.tickets.empty() ? 0 : 1;
    stats_.encode_s += SecondsSince(began);
  }
  for (Caller* caller : next) {
    if (!caller->error && !caller->import_refused) continue;
    // Filled in vain, and still mapped.
    if (caller->up != nullptr && caller->up->memory != nullptr) session_->up.PutFree(caller->up);
    if (caller->import_refused) access_.store(PlaneAccess::kStage);
    // What a lost device refuses is no fault of the request.
    const State state = caller->import_refused    ? State::kAgain
                        : session_->device.lost() ? State::kLost
                                                  : State::kFailed;
    Finish(*caller, state, caller->error);
  }
  in_flight_.push_back(std::move(batch));
  if (++submits_ % kTrimEvery == 0) {
    session_->pool.Trim();
    session_->pipelines.Trim();
    session_->up.Trim();
    session_->down.Trim();
  }
  session_->constants.DropUnused();
  session_->imports.DropStale();
}

void EngineImpl::Complete(Batch& batch) {
  for (Staging* staging : batch.up) {
    if (session_->up.TakeMapping(*staging)) session_->up.PutFree(staging);
  }
  TakeStats();
  for (Ticket* ticket : batch.tickets) {
    auto& caller = static_cast<Caller&>(*ticket);
    if (caller.down != nullptr && !session_->down.TakeMapping(*caller.down)) {
      Finish(caller, State::kFailed,
             Error(Code::kGpuFailed, "the GPU's results cannot be read back"));
    } else {
      Finish(caller, State::kDone);
    }
  }
}

// Gives what is wanted of the thread before it looks at requests; false when it is to end.
bool EngineImpl::TakeWork(std::vector<Caller*>& next, bool& lose) {
  const auto most = static_cast<size_t>(std::clamp(options_.batch, 1, 16));
  const auto flights = static_cast<size_t>(std::clamp(options_.in_flight, 1, 16));
  std::unique_lock lock(mutex_);
  if (in_flight_.empty()) {
    work_.wait(lock, [&] { return closing_ || !queue_.empty() || !wishes_.empty(); });
  }
  while (!wishes_.empty() && !closing_) {
    Wish* const wish = wishes_.front();
    wishes_.pop_front();
    lock.unlock();
    Grant(*wish);
    lock.lock();
  }
  if (closing_) return false;
  if (in_flight_.size() >= flights) return true;
  while (next.size() < most && !queue_.empty()) {
    next.push_back(queue_.front());
    queue_.pop_front();
  }
  lose = !next.empty() && std::exchange(lose_, false);
  return true;
}

void EngineImpl::CompleteFirst(uint64_t timeout_ns) {
  Batch& first = in_flight_.front();
  const auto began = Clock::now();
  bool complete = false;
  try {
    complete = session_->device.Wait(first.waits, timeout_ns);
  } catch (const Error&) {
    Lose();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.wait_s += SecondsSince(began);
  }
  if (session_->device.lost()) {
    Lose();
  } else if (complete) {
    Complete(first);
    in_flight_.pop_front();
  }
}

void EngineImpl::Loop() {
  try {
    OpenSession();
    facts_ = session_->device.facts();
  } catch (const Error& error) {
    open_error_ = error;
  }
  {
    const std::lock_guard lock(mutex_);
    opened_ = true;
    ended_ = open_error_.has_value();
  }
  idle_.notify_all();
  if (open_error_) return;
  std::vector<Caller*> next;
  for (bool lose = false; TakeWork(next, lose); next.clear(), lose = false) {
    if (!next.empty()) SubmitNext(next);
    if (lose && session_) {
      constexpr std::string_view kWhy = "a test wants it";
      session_->device.f.DeviceForceLoss(session_->device.handle(), dawn::LostReason::kUnknown,
                                         {kWhy.data(), kWhy.size()});
    }
    if (!in_flight_.empty()) CompleteFirst(next.empty() ? kLookNs : 0);
  }
  FailAll(Closed());
  while (!in_flight_.empty()) CompleteFirst(kLongWaitNs);
  DropSession();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  idle_.notify_all();
}

}  // namespace

bool Request::doubtful() const {
  if (!recipe || recipe->doubt < 0) return false;
  size_t place = 0;
  for (int i = 0; i < recipe->doubt; ++i) {
    place += recipe->buffers[static_cast<size_t>(i)].kind == Buffer::Kind::kResult ? 1 : 0;
  }
  uint32_t word = 0;
  if (place < results.size()) std::memcpy(&word, results[place].data(), sizeof(word));
  return word != 0;
}

std::shared_ptr<Engine> Engine::Open(const EngineOptions& options) {
  shm::PinThisLibrary();
  auto engine = std::make_shared<EngineImpl>(options);
  const std::lock_guard lock(AllEngines().mutex);
  std::erase_if(AllEngines().engines, [](const auto& weak) { return weak.expired(); });
  AllEngines().engines.push_back(engine);
  return engine;
}

}  // namespace tilecast::gpu
