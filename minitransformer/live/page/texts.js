// Every word of the page, in English and in Chinese.

export const TEXTS = {
  title: ["The gradient, live", "看得见的梯度"],
  lead: [
    "A small Transformer runs here, in your browser, frozen. Train a few vectors in front of its text, and watch where the gradient of the loss goes.",
    "一个小小的 Transformer 就在你的浏览器里运行，参数全部冻结。在文本前面训练几个向量，看损失的梯度流到哪里。",
  ],
  loading: ["Loading the model …", "正在加载模型……"],
  noWasm: [
    "This page runs the model as WebAssembly, which this browser does not have. Please open it in a newer browser.",
    "本页用 WebAssembly 运行模型，而这个浏览器没有它。请换一个较新的浏览器。",
  ],
  failed: ["The model could not be loaded", "模型加载失败"],
  choose: ["What shall it learn?", "学什么？"],
  skill: ["Skill", "技能"],
  sentence: ["Your sentence", "你的句子"],
  wanted: ["Wanted answer", "想要的回答"],
  method: ["Method", "方法"],
  length: ["Vectors (1–10)", "向量个数（1–10）"],
  seed: ["Seed", "随机种子"],
  pairs: ["Your own pairs, four or more, one a line: sentence = answer", "你自己的例子，至少四行，每行：句子 = 回答"],
  own: ["my own pairs", "我自己的例子"],
  prompt: ["prompt tuning", "提示微调"],
  prefix: ["prefix, as the textbook writes it", "前缀微调（教科书写法）"],
  key_value: ["key/value prefix", "键值前缀"],
  train: ["Train", "训练"],
  go: ["Train", "训练"],
  pause: ["Pause", "暂停"],
  once: ["One step", "走一步"],
  again: ["Start again, same seed", "用同一种子重来"],
  steps: ["steps", "步数"],
  loss: ["loss", "损失"],
  time: ["one step takes", "每步用时"],
  curve: ["The loss, step by step", "每一步的损失"],
  plane: ["The vectors among the words", "词向量之间的提示向量"],
  nearest: ["Nearest words, with cosines", "最近的词（余弦）"],
  stack: ["Where the gradient goes", "梯度流向哪里"],
  forward: ["Forward", "前向"],
  backward: ["Backward", "反向"],
  row: ["One row further", "再走一行"],
  still: ["Nothing has run yet. Press Forward.", "还没有运行。请按“前向”。"],
  up: ["Forward: numbers go up, layer by layer.", "前向：数值逐层向上。"],
  top: ["The loss is {loss}. Now Backward.", "损失是 {loss}。现在按“反向”。"],
  down: ["Backward: the gradient comes down.", "反向：梯度逐层向下。"],
  landed: [
    "The gradient went through the whole model and landed on the learned vectors alone. Every parameter of the base has None.",
    "梯度穿过整个模型，只落在可学习的向量上。基座的每个参数的梯度都是 None。",
  ],
  everywhere: [
    "The base is not frozen: each of its {count} parameters received a gradient, {bytes} of them, beside the vectors.",
    "基座没有冻结：除了向量，它的 {count} 个参数也都得到了梯度，共 {bytes}。",
  ],
  nowhere: [
    "loss.backward() stops with an error: element 0 of tensors does not require grad and does not have a grad_fn. No gradient anywhere.",
    "loss.backward() 报错：element 0 of tensors does not require grad and does not have a grad_fn。哪里都没有梯度。",
  ],
  embedding: ["embedding", "嵌入"],
  block: ["block {number}", "第 {number} 层"],
  vectors: ["learned", "可学习"],
  target: ["target", "目标"],
  virtual: ["virtual token p{place}", "虚拟词 p{place}"],
  word: ["“{token}”", "“{token}”"],
  base: ["base", "基座"],
  cellForward: ["{where}, {layer}: a vector of length {value}.", "{where}，{layer}：向量长度 {value}。"],
  cellGradient: [
    "{where}, {layer}: gradient of norm {gradient}. So much would the loss change if this vector moved.",
    "{where}，{layer}：梯度范数 {gradient}。这个向量移动时，损失就按这个速度变化。",
  ],
  cellLearned: [
    "{where}, {layer}: a learned vector, gradient norm {gradient}. The optimizer moves it.",
    "{where}，{layer}：可学习的向量，梯度范数 {gradient}。优化器会移动它。",
  ],
  cellNone: [
    "{where}, {layer}: None. Nothing below here takes a gradient, so none is computed. None is not zero.",
    "{where}，{layer}：None。下面没有任何东西需要梯度，所以不计算。None 不等于零。",
  ],
  parameterNone: ["{name}: frozen, its gradient is None. None is not zero.", "{name}：已冻结，梯度是 None。None 不等于零。"],
  parameterGradient: ["{name}: gradient norm {gradient}.", "{name}：梯度范数 {gradient}。"],
  parameterYet: ["{name}: a parameter of the base.", "{name}：基座的一个参数。"],
  legendForward: ["a value", "数值"],
  legendGradient: ["a gradient", "梯度"],
  legendNone: ["None: no gradient was computed", "None：没有计算梯度"],
  programs: ["Five programs", "五个程序"],
  programsLead: ["Which one runs? Then train or press Backward again.", "运行哪一个？再训练，或再按“反向”。"],
  frozen: ["The base is frozen, the optimizer holds the vectors", "冻结基座，优化器只有提示向量"],
  thawed: ["The base is not frozen, the optimizer holds the vectors", "不冻结基座，优化器只有提示向量"],
  trained: ["The base is not frozen, and the optimizer holds it, too", "不冻结基座，优化器里也有它"],
  no_grad: ["torch.no_grad() around the model", "在模型外面套 torch.no_grad()"],
  detach: ["vectors.detach() in front of the text", "拼接时用 vectors.detach()"],
  becauseFrozen: [
    "Right: gradients flow through the base, which keeps every byte.",
    "正确：梯度流过基座，而基座一个字节也不变。",
  ],
  becauseThawed: [
    "It learns the same, and computes {bytes} of gradients that nobody uses.",
    "学得一样，却白白计算了 {bytes} 没人用的梯度。",
  ],
  becauseTrained: [
    "The base itself moves. Train, and see what happens to a skill that it had.",
    "基座自己也在变。训练一下，看它原有的技能怎么样了。",
  ],
  becauseNo_grad: [
    "Freezing is not no_grad: nothing is recorded, so nothing can flow back to the vectors.",
    "冻结不等于 no_grad：什么也没有记录，梯度无法流回向量。",
  ],
  becauseDetach: [
    "The vectors are cut off from the graph: the loss no longer depends on them, as far as torch knows.",
    "向量与计算图断开了：在 torch 看来，损失与它们无关。",
  ],
  other: ["Without the vectors, asked in words:", "不用向量，直接用文字要求："],
  unknown: ["The model does not know {words}.", "模型不认识 {words}。"],
  near: ["Near it: {words}.", "相近的词：{words}。"],
  tooFew: ["Write four pairs or more, one a line: sentence = answer.", "请至少写四行：句子 = 回答。"],
  empty: ["Write a sentence and the answer that you want.", "请写一个句子和想要的回答。"],
  about: [
    "Model phrasebook.safetensors, fingerprint {fingerprint}, commit {commit}. Everything runs in your browser; after loading nothing is fetched.",
    "模型 phrasebook.safetensors，指纹 {fingerprint}，提交 {commit}。一切都在浏览器里运行；加载之后不再联网。",
  ],
};
export const LANGUAGES = ["en", "zh"];
let language = 0;

export const setLanguage = (name) => (language = Math.max(0, LANGUAGES.indexOf(name)));
export const getLanguage = () => LANGUAGES[language];

export function say(key, values = {}) {
  return TEXTS[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
