"""A step of GRPO as a plain PyTorch loop: sampling, the reference's log-probabilities, one update.

usage: torch_steps.py MODEL THREADS QUERIES ANSWERS PROMPT_TOKENS NEW_TOKENS; each request is one step, answered with
the seconds of its phases. Everything is f32: full fine-tuning with AdamW, ratio and k3 KL (beta 0.04), gradients
clipped at 1, in micro-batches.
"""

import sys
import time

import channel
import torch
from transformers import AutoModelForCausalLM

BETA = 0.04
# Of a micro-batch, prompts included: eight sequences of 192.
MICRO_BATCH_TOKENS = 1536


def log_probabilities(model, sequences, new_tokens):
    logits = model(sequences, logits_to_keep=new_tokens + 1).logits[:, :-1]
    targets = sequences[:, -new_tokens:, None]
    return torch.gather(logits, 2, targets)[..., 0] - torch.logsumexp(logits, -1)


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def main():
    path, (threads, queries, answers, prompt_tokens, new_tokens) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    policy, reference = load(path), load(path)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-6, fused=True)
    prompts = torch.randint(10, policy.config.vocab_size, (queries, prompt_tokens))
    prompts = prompts.repeat_interleave(answers, 0)
    advantages = torch.randn(len(prompts), 1)
    size = max(1, MICRO_BATCH_TOKENS // (prompt_tokens + new_tokens))
    channel.answer({"ready": True})
    for _ in channel.requests():
        start = time.perf_counter()
        with torch.no_grad():
            sequences = policy.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=policy.config.eos_token_id,
            )
            sampled = time.perf_counter()
            of_reference = [log_probabilities(reference, part, new_tokens) for part in sequences.split(size)]
        referenced = time.perf_counter()
        parts = zip(sequences.split(size), of_reference, advantages.split(size))
        for part, known, advantage in parts:
            now = log_probabilities(policy, part, new_tokens)
            ratio = torch.exp(now - now.detach())
            divergence = torch.exp(known - now) - (known - now) - 1
            loss = (BETA * divergence - ratio * advantage).sum() / (len(prompts) * new_tokens)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        end = time.perf_counter()
        channel.answer(
            {
                "rolloutSeconds": sampled - start,
                "referenceSeconds": referenced - sampled,
                "updateSeconds": end - referenced,
                "totalSeconds": end - start,
                "peakMemoryBytes": channel.peak_memory_bytes(),
            }
        )


main()
