"""A step of TRL's GRPOTrainer on the same workload as torch_steps.py.

usage: trl_steps.py MODEL THREADS QUERIES ANSWERS PROMPT_TOKENS NEW_TOKENS; each request is one step, answered with the
seconds of its phases: what the trainer spends in generating, in log-probabilities without gradients, and in the rest.
"""

import random
import sys
import tempfile
import time

import channel
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

# A token each, with the space before it.
WORDS = (
    "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these"
)
MICRO_BATCH = 8
MOST_STEPS = 1000


def reward(completion_ids, **_):
    return [len(set(ids)) / 50 for ids in completion_ids]


class Stopwatch(TrainerCallback):
    """A step begins when it is asked for."""

    def __init__(self):
        self.requests = channel.requests()
        self.seconds = {}

    def timed(self, name, function, only_if=lambda: True):
        def run(*arguments, **options):
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                if only_if():
                    self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

        return run

    def on_step_begin(self, _, __, control, **___):
        self.asked = next(self.requests, None) is not None
        control.should_training_stop = not self.asked
        self.seconds = {}
        self.start = time.perf_counter()

    def on_step_end(self, _, __, ___, **____):
        if not self.asked:
            return
        total = time.perf_counter() - self.start
        rollout, reference = self.seconds.get("rollout", 0.0), self.seconds.get("reference", 0.0)
        channel.answer(
            {
                "rolloutSeconds": rollout,
                "referenceSeconds": reference,
                "updateSeconds": total - rollout - reference,
                "totalSeconds": total,
                "peakMemoryBytes": channel.peak_memory_bytes(),
            }
        )


def main():
    path, (threads, queries, answers, prompt_tokens, new_tokens) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    random.seed(0)
    words = WORDS.split()
    prompts = [" ".join(random.choice(words) for _ in range(prompt_tokens)) for _ in range(queries * MOST_STEPS)]
    micro_batch = min(MICRO_BATCH, queries * answers)
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        bf16=False,
        fp16=False,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=queries * answers // micro_batch,
        num_generations=answers,
        max_completion_length=new_tokens,
        generation_kwargs={"min_new_tokens": new_tokens},
        temperature=1.0,
        beta=0.04,
        learning_rate=1e-6,
        max_steps=MOST_STEPS,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    stopwatch = Stopwatch()
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(path),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        callbacks=[stopwatch],
    )
    trainer._generate = stopwatch.timed("rollout", trainer._generate)
    trainer._get_per_token_logps_and_entropies = stopwatch.timed(
        "reference", trainer._get_per_token_logps_and_entropies, lambda: not torch.is_grad_enabled()
    )
    channel.answer({"ready": True})
    trainer.train()


main()
