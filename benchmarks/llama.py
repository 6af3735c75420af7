"""The same weights in transformers' Llama: what ours is held against, in figures and in time."""

from transformers import LlamaConfig, LlamaForCausalLM

from minitransformer import Transformer
from minitransformer.files.llama import llama_name


def llama(model: Transformer, **settings) -> LlamaForCausalLM:
    """A Llama of this model's shape, with its weights."""
    config = model.config
    twin = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            max_position_embeddings=config.context,
            rms_norm_eps=config.eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
            tie_word_embeddings=config.tied,
            **settings,
        )
    )
    weights = {llama_name(name): weight for name, weight in model.state_dict().items()}
    missing, unexpected = twin.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}  # of a tied one
    twin.tie_weights()
    return twin
